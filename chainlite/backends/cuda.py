"""CUDA by way of CuPy.

CuPy is imported when it is first asked for: by `cuda.cupy`, `cuda.available`, one of the classes `ndarray`, `Device`,
`Stream`, `Event`, or a function that needs a GPU.  Importing this module, and the package, touches neither CuPy nor a
device, and on a machine without them all names here still exist; `check_cuda_available` says what is missing.
"""

import contextlib
import functools
import os
import sys
import threading
import warnings

import numpy

from chainlite import _backend
from chainlite.backends import _cpu
from chainlite.configuration import config

_unavailable_because = None  # an error message, once CuPy has been looked for in vain
_lazy_names = (
    *('available', 'cudnn_enabled', 'cupy', 'ndarray', 'Device', 'Event', 'Stream'),
    *('memory_pool', 'pinned_memory_pool'),
)


def __getattr__(name):
    if name not in _lazy_names:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return _lazy(name)


def _lazy(name):
    """The value of a name that depends on CuPy."""
    if name not in globals():
        _load()
    return globals()[name]


def _load():
    """Looks for CuPy and a device, and defines the names that depend on them."""
    global _unavailable_because
    if 'CHAINER_SEED' in os.environ:
        os.environ.setdefault('CUPY_SEED', os.environ['CHAINER_SEED'])
    try:
        import cupy
    except Exception as error:  # a broken installation raises all kinds of errors
        _unavailable_because = f'{error}: pip install chainlite[cuda12] or chainlite[cuda13]'
        names = dict(cupy=_missing_cupy, ndarray=_missing.ndarray, Device=_missing.Device)
        names.update(Event=_missing.Event, Stream=_missing.Stream, memory_pool=None, pinned_memory_pool=None)
    else:
        names = dict(cupy=cupy, ndarray=cupy.ndarray, Device=cupy.cuda.Device)
        names.update(Event=cupy.cuda.Event, Stream=cupy.cuda.Stream)
        names['memory_pool'] = cupy.get_default_memory_pool()
        names['pinned_memory_pool'] = cupy.get_default_pinned_memory_pool()
        _unavailable_because = _no_device(cupy)
    names['available'] = _unavailable_because is None
    names['cudnn_enabled'] = names['available'] and _has_cudnn()
    globals().update(names)


def _no_device(cupy):
    try:
        return None if cupy.cuda.runtime.getDeviceCount() > 0 else 'There is no CUDA device.'
    except Exception as error:
        return str(error)


def _has_cudnn():
    if os.environ.get('CHAINER_CUDNN', '1') == '0':
        return False
    import importlib.util

    return importlib.util.find_spec('cudnn') is not None


class _MissingCupy:
    """Stands in for the module."""

    def __repr__(self):
        return '<CuPy, which is not installed>'


_missing_cupy = _MissingCupy()


class _missing:
    """Stand-ins for CuPy's classes, so that `isinstance(x, cuda.ndarray)` is false rather than an error."""

    class ndarray:
        """CuPy's array class."""

        @property
        def shape(self):
            """Tuple of sizes."""

        @property
        def device(self):
            """The device that holds the array."""

        def get(self, stream=None):
            """Copies to a NumPy array."""

        def set(self, arr, stream=None):
            """Copies from a NumPy array."""

    class Device:
        """CuPy's class of devices."""

        def __init__(self, device=None):
            pass

        def __enter__(self):
            check_cuda_available()

        def __exit__(self, *args):
            pass

    class Event:
        """CuPy's class of events."""

    class Stream:
        """CuPy's class of streams."""


for _class in vars(_missing).copy().values():
    if isinstance(_class, type):
        _class.__module__, _class.__qualname__ = __name__, _class.__name__


class DummyDeviceType:
    """Stands in for a CUDA device where arrays are on the CPU."""

    id = -1

    def __init__(self):
        pass

    def __int__(self):
        return -1

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def __eq__(self, other):
        return isinstance(other, DummyDeviceType)

    def __ne__(self, other):
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def use(self):
        """Does nothing."""

    def synchronize(self):
        """Does nothing."""


DummyDevice = DummyDeviceType()


# ---- devices --------------------------------------------------------------------------------------------------------


class GpuDevice(_backend.Device):
    """A GPU, with CuPy arrays: '@cupy:0'.

    Args:
        device: CuPy's device object.
    """

    def __init__(self, device):
        check_cuda_available()
        if not isinstance(device, _cupy().cuda.Device):
            raise TypeError(f'GpuDevice takes a cuda.Device, not {type(device)}; see GpuDevice.from_device_id')
        super().__init__()
        self.device = device

    @staticmethod
    def from_device_id(device_id):
        """The GPU with this number; numbers start at 0."""
        check_cuda_available()
        if not (isinstance(device_id, (int, numpy.integer)) and device_id >= 0):
            raise ValueError(f'Invalid CUDA device ID: {device_id}')
        return GpuDevice(_cupy().cuda.Device(int(device_id)))

    @staticmethod
    def from_array(array):
        """The GPU on which `array` lives, None if it does not live on one."""
        return GpuDevice(array.device) if is_cupy_array(array) else None

    @property
    def xp(self):
        return _cupy()

    @property
    def supported_array_types(self):
        return (_cupy().ndarray,)

    @property
    def name(self):
        return f'@cupy:{self.device.id}'

    def __eq__(self, other):
        return isinstance(other, GpuDevice) and other.device == self.device

    __hash__ = _backend.Device.__hash__

    def __repr__(self):
        return f'<GpuDevice (cupy):{self.device.id}>'

    def create_context(self):
        return _cupy().cuda.Device(self.device.id)  # a new one, since CuPy's keep their previous device to go back to

    def use(self):
        self.device.use()

    def send_array(self, array):
        return _array_to_gpu(array, self.device, None)

    def is_array_supported(self, array):
        return is_cupy_array(array) and array.device == self.device


def check_cuda_available():
    """Raises RuntimeError, with the reason, if CUDA cannot be used."""
    if not _is_available():
        raise RuntimeError(f'CUDA environment is not correctly set up: {_unavailable_because}')


def _is_available():
    return _lazy('available')


def _cupy():
    """The CuPy module, or its stand-in."""
    return _lazy('cupy')


def is_cupy_array(x):
    """Whether `x` is CuPy's array, without importing CuPy to find out."""
    cupy = sys.modules.get('cupy')
    return cupy is not None and isinstance(x, cupy.ndarray)


def get_device_from_id(device_id):
    """CuPy's device with this number; `DummyDevice` for None and negative numbers."""
    if device_id is None or device_id < 0:
        return DummyDevice
    check_cuda_available()
    return _cupy().cuda.Device(int(device_id))


def get_device_from_array(*arrays):
    """CuPy's device of the first array that is on one, otherwise `DummyDevice`."""
    for array in arrays:
        if is_cupy_array(array):
            return array.device
        if is_cupy_array(getattr(array, 'array', None)):
            return array.array.device
    return DummyDevice


def elsewhere(arrays):
    """The device of the first CuPy array among them if it is not the current one, otherwise None."""
    cupy = sys.modules.get('cupy')
    if cupy is not None:
        for array in arrays:
            if isinstance(array, cupy.ndarray):
                number = array.data.device_id
                return cupy.cuda.Device(number) if number != cupy.cuda.get_device_id() else None
    return None


def all_here(arrays):
    """Whether all of them are CuPy arrays on the current device: what is usual, found out quickly.

    What is not computed yet counts as the array that it is `like`.
    """
    cupy = sys.modules.get('cupy')
    if cupy is None:
        return False
    kind, here = cupy.ndarray, None  # CuPy can be there without a driver, which then must not be asked
    for array in arrays:
        if type(array) is not kind:
            array = getattr(array, 'like', None)
            if type(array) is not kind:
                return False
        if here is None:
            here = cupy.cuda.get_device_id()
        if array.data.device_id != here:
            return False
    return True


@contextlib.contextmanager
def linalg_errors(raised):
    """Whether linear algebra on a GPU raises numpy.linalg.LinAlgError, as it does on the CPU."""
    if 'cupy' not in sys.modules:
        yield
        return
    import cupyx

    with cupyx.errstate(linalg='raise' if raised else 'ignore'):
        yield


def get_device(*args):
    """Deprecated: the device of the first argument that names one, whatever the kind."""
    warnings.warn(
        'get_device is deprecated. Please use get_device_from_id or get_device_from_array instead.',
        DeprecationWarning,
        stacklevel=2,
    )
    for arg in args:
        if isinstance(arg, (int, numpy.integer)) and not isinstance(arg, bool):
            return get_device_from_id(arg)
        if is_cupy_array(arg):
            return arg.device
        if _is_available() and isinstance(arg, _cupy().cuda.Device):
            return arg
    return DummyDevice


def get_array_module(*args):
    """`cupy` if an argument is a CuPy array or a Variable with one, otherwise `numpy`."""
    cupy = sys.modules.get('cupy')
    if cupy is not None:
        for x in args:
            if type(x) is not numpy.ndarray and (is_cupy_array(x) or getattr(x, 'xp', None) is cupy):
                return cupy
    return numpy


# ---- moving arrays --------------------------------------------------------------------------------------------------


def to_gpu(array, device=None, stream=None):
    """Copies an array, or those of a list or tuple, to a GPU; what is there already is passed as it is.

    Args:
        array: NumPy or CuPy array, None, or a list or tuple of these.
        device: number or CuPy device; None is the current one.
        stream: deprecated: CUDA stream on which to copy.
    """
    check_cuda_available()
    if stream is not None:
        warnings.warn(
            'The stream option is deprecated in chainer.backends.cuda.to_gpu.', DeprecationWarning, stacklevel=2
        )
    device = _device_or_current(device)
    return _backend.map_arrays(lambda x: _array_to_gpu(x, device, stream), array)


def _device_or_current(device):
    if device is None:
        return _cupy().cuda.Device()
    return device if isinstance(device, _cupy().cuda.Device) else _cupy().cuda.Device(int(device))


def _array_to_gpu(array, device, stream):
    if array is None:
        return None
    if not (is_cupy_array(array) or isinstance(array, numpy.ndarray) or numpy.isscalar(array)):
        raise TypeError(f'The array sent to gpu must be an array or a NumPy scalar.\nActual type: {type(array)}.')
    if is_cupy_array(array) and array.device == device:
        return array
    with device:
        if stream is None or stream.ptr == 0:
            return _cupy().array(array) if is_cupy_array(array) else _cupy().asarray(array)
        with stream:
            return _cupy().array(array)


def to_cpu(array, stream=None):
    """Copies an array, or those of a list or tuple, to NumPy; NumPy arrays are passed as they are.

    Args:
        array: array, scalar, None, or a list or tuple of these.
        stream: CUDA stream on which to copy; the current one if None.
    """
    return _backend.map_arrays(lambda x: _array_to_cpu(x, stream), array)


def _array_to_cpu(array, stream):
    if is_cupy_array(array):
        return array.get(stream)
    return _cpu.array_to_cpu(array)


def copy(array, out=None, out_device=None, stream=None):
    """Copies a CuPy array, possibly to another GPU.

    Args:
        array: what to copy.
        out: array to copy into; a new one if None.
        out_device: where to make the new array; the current device if None.
        stream: CUDA stream on which to copy; the current one if None.
    """
    check_cuda_available()
    assert stream is None
    if out is None:
        with _device_or_current(out_device):
            out = _cupy().empty_like(array)
    with array.device:
        _cupy().copyto(out, array)
    return out


# ---- kernels --------------------------------------------------------------------------------------------------------

_memos: list[dict] = []


def memoize(for_each_device=False):
    """A decorator: the function is called once for each tuple of arguments, and for each GPU if `for_each_device`.

    The arguments have to be hashable.  `clear_memo` forgets all results.
    """

    def decorate(f):
        memo = {}
        _memos.append(memo)

        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            device = _cupy().cuda.Device().id if for_each_device and _is_available() else None
            key = (device, args, frozenset(kwargs.items()))
            if key not in memo:
                memo[key] = f(*args, **kwargs)
            return memo[key]

        return wrapper

    return decorate


def clear_memo():
    """Forgets all results that `memoize` keeps, and CuPy's own."""
    for memo in _memos:
        memo.clear()
    if 'cupy' in sys.modules:
        sys.modules['cupy'].clear_memo()


def elementwise(in_params, out_params, operation, name, **kwargs):
    """CuPy's ElementwiseKernel of these arguments, made once."""
    check_cuda_available()
    return _kernel('ElementwiseKernel', in_params, out_params, operation, name, **kwargs)


def reduce(in_params, out_params, map_expr, reduce_expr, post_map_expr, identity, name, **kwargs):
    """CuPy's ReductionKernel of these arguments, made once."""
    check_cuda_available()
    return _kernel(
        'ReductionKernel', in_params, out_params, map_expr, reduce_expr, post_map_expr, identity, name, **kwargs
    )


def raw(code, name, *args, **kwargs):
    """CuPy's RawKernel of these arguments, made once."""
    check_cuda_available()
    return _kernel('RawKernel', code, name, *args, **kwargs)


@memoize(for_each_device=True)
def _kernel(kind, *args, **kwargs):
    return getattr(_cupy(), kind)(*args, **kwargs)


def fuse(*args, **kwargs):
    """A decorator like `cupy.fuse`, which makes one kernel of a function; NumPy arrays take the function as it is."""

    def decorate(f):
        @functools.wraps(f)
        def wrapper(*xs, **named):
            if get_array_module(*xs, *named.values()) is numpy:
                return f(*xs, **named)
            return fused()(*xs, **named)

        @functools.cache
        def fused():
            return _cupy().fuse(**kwargs)(f)

        return wrapper

    return decorate(args[0]) if args and callable(args[0]) else decorate


# ---- cuDNN ----------------------------------------------------------------------------------------------------------

_SHOULD_USE_CUDNN = {
    '==always': {'always': True, 'auto': False, 'never': False},
    '>=auto': {'always': True, 'auto': True, 'never': False},
}
_max_workspace_size = 8 * 1024 * 1024


def should_use_cudnn(level, lowest_version=0):
    """Whether `config.use_cudnn` and this machine allow cuDNN.

    Args:
        level: '==always' or '>=auto', what the configuration has to be.
        lowest_version: the least version of cuDNN, as cuDNN numbers them (90100 for 9.1.0).
    """
    if not _lazy('cudnn_enabled'):
        return False
    if level not in _SHOULD_USE_CUDNN:
        raise ValueError(f'invalid cuDNN use level: {level!r} (must be either of "==always" or ">=auto")')
    if config.use_cudnn not in _SHOULD_USE_CUDNN[level]:
        raise ValueError(
            f'invalid use_cudnn configuration: {config.use_cudnn!r} (must be either of "always", "auto", or "never")'
        )
    return _SHOULD_USE_CUDNN[level][config.use_cudnn] and _cudnn_version() >= max(lowest_version, 0)


@functools.cache
def _cudnn_version():
    """cuDNN's version; -1, after a warning, if the library cannot be loaded."""
    try:
        import cudnn

        return cudnn.backend_version()
    except Exception as error:  # the frontend is there, and what it needs is not
        warn_of_cudnn(f'cuDNN cannot be used: {error}: pip install chainlite[cudnn]')
        return -1


def warn_of_cudnn(message):
    """Warns that our own kernels take cuDNN's place."""
    warnings.warn(f'{message}. The kernels of chainlite are used.', RuntimeWarning, stacklevel=3)


def should_use_cudnn_tensor_core(dtype):
    """Whether `config.use_cudnn_tensor_core` allows tensor cores for `dtype`; 'auto' does for 16-bit floats."""
    setting = config.use_cudnn_tensor_core
    if setting not in ('always', 'auto', 'never'):
        raise ValueError(
            f'invalid use_cudnn_tensor_core configuration: {setting!r} (must be either of "always", "auto", or "never")'
        )
    if not _lazy('cudnn_enabled'):
        return False
    return setting == 'always' or setting == 'auto' and numpy.dtype(dtype).itemsize == 2


def get_max_workspace_size():
    """How many bytes of scratch memory a cuDNN algorithm may use."""
    return _max_workspace_size


def set_max_workspace_size(size):
    """Sets how many bytes of scratch memory a cuDNN algorithm may use."""
    global _max_workspace_size
    _max_workspace_size = int(size)


def get_cudnn_dropout_states():
    """Raises RuntimeError: dropout does not go through cuDNN here, so that there are no states of its generator."""
    return get_cudnn_dropout_states_core(threading.get_ident())


def get_cudnn_dropout_states_core(thread_id):
    """As `get_cudnn_dropout_states`, for one thread."""
    raise RuntimeError('cuDNN is not enabled.')
