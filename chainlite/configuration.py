"""Settings: `global_config` holds what every thread starts from, `config` what this thread sees.

A thread reads `config.name`: its own value if it has set one, the global one otherwise.  `using_config` sets a value
for the length of a `with` block.
"""

import os
import sys
import threading

import numpy


class GlobalConfig:
    """The values that hold in every thread unless the thread has set its own.

    ================================== =====================================================================
    autotune                           look for the fastest convolution algorithm on first use of each shape
    compute_mode                       'tf32' lets float32 products on a GPU round their factors; see get_compute_mode
    cudnn_deterministic                use only algorithms whose results are the same, bit by bit, in every run
    cudnn_fast_batch_normalization     allow cuDNN's persistent batch normalization, which may overflow
    debug                              check for NaN in forward and backward, report where a failing node was made
    dtype                              of new parameters: float16/32/64, `mixed16`, 'bfloat16'
    enable_backprop                    record the graph
    in_recomputing                     true while `F.forget` runs a forward pass again
    keep_graph_on_report               reported values keep the graph they came from
    lazy_grad_sum                      sum the gradients of a variable used many times all at once
    schedule_func                      a function that schedules a static graph
    train                              training or testing behaviour of dropout, batch normalization and others
    type_check                         check dtypes and shapes of a function's inputs
    use_cudnn, use_cudnn_tensor_core   'always', 'auto' or 'never'
    use_ideep                          the same for oneDNN's kernels on the CPU ('auto', where Chainer has 'never')
    use_static_graph                   let `static_graph` reuse schedules
    warn_nondeterministic              warn when a nondeterministic function runs
    ================================== =====================================================================
    """

    __slots__ = ('__dict__', '__weakref__', '_mirrors')

    def __init__(self):
        object.__setattr__(self, '_mirrors', [])

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        for mirror in self._mirrors:
            setattr(mirror, name, _as_class_attribute(value))

    def __delattr__(self, name):
        super().__delattr__(name)
        for mirror in self._mirrors:
            delattr(mirror, name)

    def show(self, file=sys.stdout):
        """Prints every setting, sorted by name."""
        _show(vars(self), file)


class LocalConfig(threading.local):
    """One thread's view of a `GlobalConfig`: its own values in front of the global ones.

    Reading a setting has to be cheap, since every function call reads several.  So each LocalConfig gets a subclass of
    its own on which the global values are class attributes, and Python's attribute lookup, in C, does all the work.
    """

    def __new__(cls, global_config):
        values = {name: _as_class_attribute(value) for name, value in vars(global_config).items()}
        view = type(cls.__name__, (cls,), {'__module__': cls.__module__, **values})
        self = super().__new__(view, global_config)
        global_config._mirrors.append(view)
        return self

    def __init__(self, global_config):
        pass  # threading.local calls this again in every thread that looks at the object: there are no values yet

    def show(self, file=sys.stdout):
        """Prints every setting as this thread sees it, sorted by name."""
        _show({name: getattr(self, name) for name in {**vars(self), **_global_values(self)}}, file)


def _as_class_attribute(value):
    """A function on a class would come back as a bound method."""
    return staticmethod(value) if hasattr(type(value), '__get__') else value


def _global_values(local):
    return {name: value for name, value in vars(type(local)).items() if not name.startswith('__')}


def _show(values, file):
    width = max(map(len, values), default=0)
    for name in sorted(values):
        print(f'{name:<{width}} {values[name]}', file=file)


_unset = object()


class _Mixed16:
    """Parameters and activations in float16, where precision matters (statistics, updates) in float32."""

    dtype = numpy.dtype('float16')

    def __repr__(self):
        return "dtype('mixed16')"

    def __reduce__(self):
        return 'mixed16'


mixed16 = _Mixed16()


def get_dtype(dtype=None, map_mixed16=None):
    """The NumPy dtype meant by `dtype`; None means `config.dtype`.

    Args:
        dtype: anything NumPy takes for a dtype, `mixed16`, 'bfloat16', or None.
        map_mixed16: what `mixed16` stands for here; float16 if None.
    """
    if dtype is None:
        dtype = config.dtype
    if dtype is mixed16:
        dtype = mixed16.dtype if map_mixed16 is None else map_mixed16
    if isinstance(dtype, str) and dtype == 'bfloat16':
        return _bfloat16()
    return numpy.dtype(dtype)


def _bfloat16():
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError('ml_dtypes is needed for bfloat16: pip install chainlite[bfloat16]') from None
    return numpy.dtype(ml_dtypes.bfloat16)


def _flag(name):
    return bool(int(os.environ.get(name, 0 if name != 'CHAINER_TYPE_CHECK' else 1)))


def _dtype_from_environment():
    name = os.environ.get('CHAINER_DTYPE', 'float32')
    if name == 'mixed16':
        return mixed16
    if name == 'bfloat16':
        return _bfloat16()
    if name in ('float16', 'float32', 'float64'):
        return numpy.dtype(name)
    raise TypeError(f'incorrect dtype name in CHAINER_DTYPE: "{name}". Only float16/32/64 are allowed.')


def _defaults():
    return dict(
        _will_recompute=False,
        autotune=False,
        compute_mode=None,
        cudnn_deterministic=False,
        cudnn_fast_batch_normalization=False,
        debug=_flag('CHAINER_DEBUG'),
        dtype=_dtype_from_environment(),
        enable_backprop=True,
        in_recomputing=False,
        keep_graph_on_report=_flag('CHAINER_KEEP_GRAPH_ON_REPORT'),
        lazy_grad_sum=_flag('CHAINER_LAZY_GRAD_SUM'),
        schedule_func=None,
        train=True,
        type_check=_flag('CHAINER_TYPE_CHECK'),
        use_cudnn=os.environ.get('CHAINER_USE_CUDNN', 'auto'),
        use_cudnn_tensor_core='auto',
        use_ideep=os.environ.get('CHAINER_USE_IDEEP', 'auto'),
        use_static_graph=True,
        warn_nondeterministic=False,
    )


global_config = GlobalConfig()
for _name, _value in _defaults().items():
    setattr(global_config, _name, _value)
config = LocalConfig(global_config)


class using_config:
    """`with using_config('train', False): ...` sets one of this thread's settings for the block."""

    __slots__ = ('_name', '_value', '_config', '_before')

    def __init__(self, name, value, config=config):
        self._name = name
        self._value = value
        self._config = config

    def __enter__(self):
        values = self._config.__dict__
        self._before = values.get(self._name, _unset)
        values[self._name] = self._value

    def __exit__(self, *_):
        if self._before is _unset:
            self._config.__dict__.pop(self._name, None)
        else:
            self._config.__dict__[self._name] = self._before


def get_compute_mode():
    """`config.compute_mode`.

    With 'tf32', matrix products and convolutions of float32 arrays on a GPU of compute capability 8.0 or more round
    their factors to TF32, which has float32's range and 10 bits of significand in place of 23, and run on tensor cores;
    sums stay float32. With None, and with Chainer's 'cudnn_fast', they are as exact as float32.
    """
    return config.compute_mode


def is_debug():
    """Whether debug mode is on in this thread."""
    return bool(config.debug)


def set_debug(debug):
    """Turns debug mode on or off in this thread."""
    config.debug = debug


class DebugMode(using_config):
    """Context manager: debug mode on or off inside."""

    def __init__(self, debug):
        super().__init__('debug', debug)
