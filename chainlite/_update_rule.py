"""Hyperparameters, hooks, and the update rule of one parameter; their public names are in ``chainlite.optimizer``."""

import numpy

from chainlite.backend import GpuDevice, using_device
from chainlite.backends.cuda import is_cupy_array
from chainlite.initializers.constant import Constant
from chainlite.serializer import Deserializer
from chainlite.utils._changes import changes
from chainlite.variable import Parameter, Variable

TIMINGS = ('pre', 'post')


class Hyperparameter:
    """A set of named values that falls back to a parent's.

    Changing the parent (an optimizer's hyperparameters) changes every child (those of its rules) that has not set a
    value of its own.

    Args:
        parent (Hyperparameter): Where values come from that are not set here.
    """

    def __init__(self, parent=None):
        self._parent = parent

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if vars(self).get('_parent') is not None:  # otherwise rules do not differ by it
            changes.note()

    def __delattr__(self, name):
        super().__delattr__(name)
        changes.note()

    def __getattr__(self, name):
        # Reached only for names this object lacks; special and private names are never hyperparameters (and asking
        # for `_parent` here, while an object is being unpickled, would not end).
        parent = None if name.startswith('_') else self._parent
        if parent is None:
            raise AttributeError(f'no hyperparameter {name!r}')
        return getattr(parent, name)

    def __repr__(self):
        values = ', '.join(f'{name}={value!r}' for name, value in sorted(self.get_dict().items()))
        return f'Hyperparameter({values})'

    @property
    def parent(self):
        return self._parent

    def get_dict(self):
        """Returns all values, inherited ones included, as a dict."""
        values = {} if self._parent is None else self._parent.get_dict()
        values.update(vars(self))
        del values['_parent']
        return values


class HyperparameterProxy:
    """A property of an optimizer that stands for the hyperparameter ``attr_name``: ``self.hyperparam.<attr_name>``."""

    def __init__(self, attr_name):
        self._attr_name = attr_name
        self.__doc__ = f'Alias to ``self.hyperparam.{attr_name}``'

    def __get__(self, obj, type=None):
        return self if obj is None else getattr(obj.hyperparam, self._attr_name)

    def __set__(self, obj, value):
        setattr(obj.hyperparam, self._attr_name, value)


class Hooks:
    """Hook functions by timing and name, each timing in the order of addition."""

    def __init__(self):
        self.pre = {}
        self.post = {}

    def add(self, hook, name, timing):
        if not callable(hook):
            raise TypeError('hook function must be callable')
        if timing not in (*TIMINGS, 'auto'):
            raise ValueError("timing must be one of ('pre', 'post', 'auto')")
        if timing == 'auto':
            timing = getattr(hook, 'timing', 'pre')
        name = name or getattr(hook, 'name', getattr(hook, '__name__', None))
        if not name:
            raise ValueError('the name of the hook function is not specified')
        if name in self.pre or name in self.post:
            raise KeyError(f'hook "{name}" already exists')
        (self.pre if timing == 'pre' else self.post)[name] = hook
        changes.note()

    def remove(self, name):
        del (self.pre if name in self.pre else self.post)[name]
        changes.note()


class UpdateRule:
    """How one parameter is updated from its gradient.

    Args:
        parent_hyperparam (Hyperparameter): Usually the optimizer's.

    Attributes:
        enabled (bool): Whether ``update`` does anything.
        hyperparam (Hyperparameter): Values of this rule, over those of the parent.
        t (int): Number of updates done.
    """

    is_elementwise = False

    def __init__(self, parent_hyperparam=None):
        self._state = None
        self.enabled = True
        self.hyperparam = Hyperparameter(parent_hyperparam)
        self.t = 0
        self._use_fp32_update = False
        self._fp32_param = None
        self._hooks = Hooks()

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        changes.note()

    @property
    def state(self):
        """Dict of the values that the rule keeps between updates; None before the first one."""
        return self._state

    def add_hook(self, hook, name=None, timing='auto'):
        """Registers ``hook(rule, param)``.

        Args:
            hook (callable): Its ``timing`` attribute counts when ``timing`` is 'auto'.
            name (str): A unique name; ``hook.name`` or ``hook.__name__`` by default.
            timing (str): 'pre', 'post' or 'auto'.
        """
        self._hooks.add(hook, name, timing)

    def remove_hook(self, name):
        """Removes the hook of that name; KeyError where there is none."""
        self._hooks.remove(name)

    def update(self, param):
        """Updates ``param`` from its gradient: hooks, ``update_core``, hooks. An error leaves ``t`` as it was."""
        if not self.enabled:
            return
        self.t += 1
        try:
            if self._use_fp32_update and is_half(_dtype(param)):
                self._update_in_fp32(param)
            else:
                self._update(param)
        except BaseException:
            self.t -= 1
            raise

    def _update(self, param):
        if isinstance(param.array, numpy.ndarray):  # asking for the device would take as long as a small update
            self._update_here(param)
        else:
            with using_device(param.device):
                self._update_here(param)

    def _update_here(self, param):
        if param.array is not None:
            self._prepare_state(param)
        if param._loss_scale is not None and param.grad is not None:
            param.grad /= param._loss_scale
            param._loss_scale = None  # what is in grad now is the gradient itself
        for hook in self._hooks.pre.values():
            hook(self, param)
        self.update_core(param)
        for hook in self._hooks.post.values():
            hook(self, param)

    def _prepare_state(self, param):
        state = self._state
        if state is None:
            state = self._state = {}
            try:
                self.init_state(param)
            except BaseException:
                self._state = None
                raise
        on_host = isinstance(param.array, numpy.ndarray)
        for name, value in state.items():
            if not on_host and isinstance(value, numpy.ndarray) or is_cupy_array(value):
                state[name] = param.device.send(value)  # itself if it is there already

    def _update_in_fp32(self, param):
        """Updates a float32 copy of a 16-bit parameter, kept from one update to the next, and copies the result."""
        if param.array is None:
            # Its shape is not known yet: a stand-in of the right dtype, for rules that want to see it.
            self._update(Parameter(Constant(0, numpy.float32), name=param.name))
            return
        master = self.master(param)
        grad = param.grad
        master.grad = None if grad is None else grad.astype(numpy.float32)
        master._loss_scale = param._loss_scale
        self._update(master)
        param.array[...] = master.array

    def master(self, param):
        """The float32 copy of a 16-bit parameter, made when it is first asked for."""
        if self._fp32_param is None:
            self._fp32_param = Parameter(param.array.astype(numpy.float32), name=param.name)
        self._fp32_param.to_device(param.device)
        return self._fp32_param

    @classmethod
    def makes_batches(cls):
        """Whether `batch_key` may be asked."""
        return False

    def batch_key(self):
        """What rules must have in common for their parameters to be updated together; see ``_batched_update``.

        None: this parameter is updated by ``update``, for itself. (): it is not updated at all.
        """
        return None

    def alike(self):
        """A function that says of a rule of this class whether it has the batch key that this one has; False where that
        is not found out quickly. It is asked for every parameter at every update."""
        return lambda rule: False

    def update_core(self, param):
        """Updates ``param``; calls ``update_core_cpu`` or ``update_core_gpu`` according to where it is."""
        if isinstance(param.array, numpy.ndarray) or not isinstance(param.device, GpuDevice):
            self.update_core_cpu(param)
        else:
            with using_device(param.device):
                self.update_core_gpu(param)

    def update_core_cpu(self, param):
        """Updates ``param``, whose arrays are NumPy's, in place."""
        raise NotImplementedError

    def update_core_gpu(self, param):
        """Updates ``param``, whose arrays are CuPy's, in place."""
        raise NotImplementedError

    def update_core_chainerx(self, param):
        """Never called, as there are no ChainerX arrays; here so that rules written for them can call it."""
        raise NotImplementedError

    def init_state(self, param):
        """Fills ``self.state`` for ``param``. Arrays among it follow the parameter from device to device."""

    def serialize(self, serializer):
        """Reads or writes ``t`` and the state.

        A state that the file lacks is a KeyError while the rule is enabled and the deserializer strict; otherwise the
        rule starts anew from ``init_state``.
        """
        if isinstance(serializer, Deserializer):
            t = serializer('t', self.t)
            self._state = self._load_state(serializer)
            self.t = t
            self._fp32_param = None  # of the parameter before; made again from the loaded one
            return
        serializer('t', self.t)
        for name, value in (self._state or {}).items():
            serializer(name, value)

    def _load_state(self, serializer):
        loaded = {}
        for name in self._state_names():
            try:
                value = serializer(name, None)
            except KeyError:
                if self.enabled:
                    raise
                value = None
            if value is None:
                return None
            loaded[name] = value
        return loaded

    def _state_names(self):
        """Names of the states; found out on a parameter of one element if there has been no update yet."""
        if self._state is not None:
            return list(self._state)
        self._state = {}
        try:
            self.init_state(Variable(numpy.zeros(1, numpy.float32), grad=numpy.zeros(1, numpy.float32)))
            return list(self._state)
        finally:
            self._state = None

    def use_fp32_update(self, flag=True):
        """Switches updates in float32 of a 16-bit parameter, through a copy that keeps the bits that it loses."""
        self._use_fp32_update = flag


def _dtype(param):
    """The dtype of a parameter, or None while it has none."""
    if param.array is not None:
        return param.array.dtype
    try:
        return param.dtype
    except RuntimeError:
        return None


def is_half(dtype):
    """Whether it is float16 or bfloat16."""
    return dtype is not None and dtype.itemsize == 2 and dtype.kind in 'fV'
