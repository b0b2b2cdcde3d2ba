"""Optimizers: update rules for single parameters, and the objects that apply them to a model.

An ``Optimizer`` holds what is common to a model (the target link, hyperparameters, hooks, loss scale, epoch); an
``UpdateRule`` holds what belongs to one parameter (its state and its number of updates). ``GradientMethod`` gives every
parameter of a link a rule and runs them: gradients, hooks, rules, hooks. Both kinds of object take hooks with a timing,
'pre' (between the gradients and the update) or 'post' (after the update).

A rule overrides ``update_core``, or ``update_core_cpu`` and ``update_core_gpu``; the optimizers of this package write
their rule as one formula instead (``chainlite.optimizers._rule``).
"""

from __future__ import absolute_import  # noqa: UP010 (the name is part of the module's interface)

import math
import warnings

import numpy

from chainlite.backend import GpuDevice, using_device
from chainlite.backends.cuda import is_cupy_array
from chainlite.initializers.constant import Constant
from chainlite.link import Link
from chainlite.optimizer_hooks.gradient_clipping import GradientClipping as _GradientClipping
from chainlite.optimizer_hooks.gradient_hard_clipping import GradientHardClipping as _GradientHardClipping
from chainlite.optimizer_hooks.gradient_noise import GradientNoise as _GradientNoise
from chainlite.optimizer_hooks.lasso import Lasso as _Lasso
from chainlite.optimizer_hooks.weight_decay import WeightDecay as _WeightDecay
from chainlite.serializer import Deserializer
from chainlite.variable import Parameter, Variable

_TIMINGS = ('pre', 'post')
_MAX_LOSS_SCALE = 65504  # the largest float16


class Hyperparameter:
    """A set of named values that falls back to a parent's.

    Changing the parent (an optimizer's hyperparameters) changes every child (those of its rules) that has not set a
    value of its own.

    Args:
        parent (Hyperparameter): Where values come from that are not set here.
    """

    def __init__(self, parent=None):
        self._parent = parent

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


class _Hooks:
    """Hook functions by timing and name, each timing in the order of addition."""

    def __init__(self):
        self.pre = {}
        self.post = {}

    def add(self, hook, name, timing):
        if not callable(hook):
            raise TypeError('hook function must be callable')
        if timing not in (*_TIMINGS, 'auto'):
            raise ValueError("timing must be one of ('pre', 'post', 'auto')")
        if timing == 'auto':
            timing = getattr(hook, 'timing', 'pre')
        name = name or getattr(hook, 'name', getattr(hook, '__name__', None))
        if not name:
            raise ValueError('the name of the hook function is not specified')
        if name in self.pre or name in self.post:
            raise KeyError(f'hook "{name}" already exists')
        (self.pre if timing == 'pre' else self.post)[name] = hook

    def remove(self, name):
        del (self.pre if name in self.pre else self.post)[name]


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
        self._hooks = _Hooks()

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
            if self._use_fp32_update and _dtype(param) == numpy.float16:
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
        """Updates a float32 copy of a float16 parameter, kept from one update to the next, and copies the result."""
        if param.array is None:
            # Its shape is not known yet: a stand-in of the right dtype, for rules that want to see it.
            self._update(Parameter(Constant(0, numpy.float32), name=param.name))
            return
        master = self._fp32_param
        if master is None:
            master = self._fp32_param = Parameter(param.array.astype(numpy.float32), name=param.name)
        master.to_device(param.device)
        grad = param.grad
        master.grad = None if grad is None else grad.astype(numpy.float32)
        master._loss_scale = param._loss_scale
        self._update(master)
        param.array[...] = master.array

    def batch_key(self, param):
        """What the rules of parameters must have in common to be updated by one `update_batch`; None: alone."""
        return None

    def update_batch(self, params):
        """Does `update` of each parameter by its rule; their batch keys are equal. Given by rules that have keys."""
        raise NotImplementedError

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
        """Switches updates in float32 of a float16 parameter, through a copy that keeps the bits float16 loses."""
        self._use_fp32_update = flag


def _dtype(param):
    """The dtype of a parameter, or None while it has none."""
    if param.array is not None:
        return param.array.dtype
    try:
        return param.dtype
    except RuntimeError:
        return None


class Optimizer:
    """Base of all optimizers: target, counters, hooks and loss scale.

    Attributes:
        target (Link): What is optimized; set by ``setup``.
        t (int): Number of updates.
        epoch (int): Number of finished epochs (``new_epoch``).
        use_auto_new_epoch (bool): True when an updater calls ``new_epoch(auto=True)``.
    """

    target = None
    t = 0
    epoch = 0
    use_auto_new_epoch = False
    _hooks = None
    _loss_scale = None
    _loss_scaling_is_dynamic = False
    _loss_scaling_isnan = False
    _loss_scaling_isnan_ever = False
    _loss_scaling_multiplier = 1.0

    def setup(self, link):
        """Takes ``link`` as the target, sets the counters to 0, removes all hooks, and returns the optimizer."""
        if not isinstance(link, Link):
            raise TypeError('optimization target must be a link')
        self.target = link
        self.t = 0
        self.epoch = 0
        self._hooks = _Hooks()
        return self

    def update(self, lossfun=None, *args, **kwds):
        """Updates the parameters and adds one to ``t``; given by subclasses.

        Args:
            lossfun (callable): ``lossfun(*args, **kwds)`` returns the loss. Without it, gradients are as they are.
        """
        raise NotImplementedError

    def new_epoch(self, auto=False):
        """Adds one to ``epoch``.

        Args:
            auto (bool): True when an updater calls it, which must have set ``use_auto_new_epoch``.
        """
        if auto and not self.use_auto_new_epoch:
            raise RuntimeError(
                'invalid new_epoch call with auto=True.\nFix the updater to set optimizer.use_auto_new_epoch = True.'
            )
        if self.use_auto_new_epoch and not auto:
            raise RuntimeError(
                'duplicated new_epoch with the updater.\n'
                'Pass auto_new_epoch=False to the updater or stop calling new_epoch outside the updater.'
            )
        self.epoch += 1

    def add_hook(self, hook, name=None, timing='auto'):
        """Registers ``hook(optimizer)``, or ``hook(rule, param)`` if it has a true ``call_for_each_param``.

        Args:
            hook (callable): Its ``timing`` attribute counts when ``timing`` is 'auto'.
            name (str): A unique name; ``hook.name`` or ``hook.__name__`` by default.
            timing (str): 'pre' (after the gradients are there, before the update), 'post' or 'auto'.
        """
        self._check_set_up()
        if timing == 'auto' and callable(hook) and getattr(hook, 'timing', 'pre') not in _TIMINGS:
            warnings.warn("Hook timing attribute not in ('pre', 'post'), defaulting timing to 'pre'.", stacklevel=2)
            timing = 'pre'
        self._hooks.add(hook, name, timing)

    def remove_hook(self, name):
        """Removes the hook of that name; KeyError where there is none."""
        self._check_set_up()
        self._hooks.remove(name)

    def call_hooks(self, timing='pre'):
        """Calls the hooks of that timing in the order of addition."""
        self._check_set_up()
        if timing not in _TIMINGS:
            raise ValueError("timing must be either 'pre' or 'post'")
        for hook in getattr(self._hooks, timing).values():
            self.call_hook(hook)

    def call_hook(self, hook):
        """Calls one hook, on the optimizer or on each parameter."""
        if not getattr(hook, 'call_for_each_param', False):
            hook(self)
            return
        for param in self.target.params():
            hook(param.update_rule, param)

    def _check_set_up(self):
        if self._hooks is None:
            raise RuntimeError('Optimizer is not set up. Call `setup` method.')

    def serialize(self, serializer):
        """Reads or writes ``t``, ``epoch`` and the rule of each parameter under the parameter's path."""
        self._check_target()
        self.t = serializer('t', self.t)
        self.epoch = serializer('epoch', self.epoch)
        for name, param in self.target.namedparams():
            rule = getattr(param, 'update_rule', None)
            if rule is not None:
                rule.serialize(serializer[name])

    def _check_target(self):
        if self.target is None:
            raise AttributeError('the optimizer has no target to serialize: call setup(link) first')

    def loss_scaling(self, interval=1000, scale=None):
        """Multiplies the loss before backward, so that small float16 gradients do not vanish.

        Without ``scale`` the factor is dynamic: it doubles at every update until a gradient overflows, then halves at
        each overflow (that update is left out) and doubles in every ``interval`` updates without one.

        Args:
            interval (int): Number of updates in which the dynamic factor doubles, at least 1.
            scale (float): A constant factor instead, positive.
        """
        if scale is not None:
            self.set_loss_scale(scale)
            self._loss_scaling_is_dynamic = False
            self._loss_scaling_isnan = False
            return
        if interval < 1:
            raise ValueError(f'interval must be greater than or equal to 1. Actual: {interval}')
        self._loss_scale = 1.0
        self._loss_scaling_is_dynamic = True
        self._loss_scaling_isnan_ever = False
        self._loss_scaling_multiplier = math.pow(2.0, 1.0 / interval)

    def set_loss_scale(self, loss_scale):
        """Sets the factor of the loss, a positive number."""
        if loss_scale <= 0:
            raise ValueError(f'loss_scale must be a positive number. Actual: {loss_scale}')
        self._loss_scale = loss_scale

    def check_nan_in_grads(self):
        """Looks for infinities and NaN in the gradients, if the loss scale is dynamic, and warns of them."""
        self._loss_scaling_isnan = False
        if not self._loss_scaling_is_dynamic:
            return
        # All flags first, then one look at them: on a GPU each look waits for the device.
        finite = {}
        for name, param in self.target.namedparams():
            if param.array is not None and (grad := param.grad) is not None:
                with using_device(param.device):
                    finite[name] = param.device.xp.isfinite(grad).all()
        for name, flag in finite.items():
            if not flag:
                self._loss_scaling_isnan = True
                warnings.warn(
                    f'Non finite number found in param.grad of {name} '
                    f'(iteration: {self.t}, loss_scale: {self._loss_scale})'
                )

    def is_safe_to_update(self):
        """Whether the last ``check_nan_in_grads`` found finite gradients only."""
        return not self._loss_scaling_isnan

    def update_loss_scale(self):
        """Moves a dynamic loss scale according to the last ``check_nan_in_grads``, within [1, 65504]."""
        if not self._loss_scaling_is_dynamic:
            return
        if self._loss_scaling_isnan:
            multiplier = 0.5
            self._loss_scaling_isnan_ever = True
        elif self._loss_scaling_isnan_ever:
            multiplier = self._loss_scaling_multiplier
        else:
            multiplier = 2.0
        self._loss_scale = max(1, min(_MAX_LOSS_SCALE, self._loss_scale * multiplier))


class GradientMethod(Optimizer):
    """Base of the optimizers that update each parameter by an ``UpdateRule`` from its gradient.

    Subclasses set ``self.hyperparam`` and give ``create_update_rule``.
    """

    _use_cleargrads = True

    def __init__(self):
        super().__init__()
        self.hyperparam = Hyperparameter()
        self._use_fp32_update = False

    def setup(self, link):
        """Takes ``link`` as the target and gives each of its parameters a new rule. Returns the optimizer."""
        super().setup(link)
        for param in link.params():
            param.update_rule = self.create_update_rule()
            if self._use_fp32_update:
                param.update_rule.use_fp32_update()
        return self

    def create_update_rule(self):
        """Returns a new rule for one parameter; given by subclasses."""
        raise NotImplementedError

    def reallocate_cleared_grads(self):
        """Gives each parameter with an array but no gradient a gradient of zeros."""
        _reallocate_cleared_grads(self.target.params())

    def call_hook(self, hook):
        super().call_hook(hook)
        self.reallocate_cleared_grads()

    def update(self, lossfun=None, *args, **kwds):
        """Computes the loss and the gradients, if a loss function is given, and updates every parameter.

        The order is: loss, backward, the test for overflow, 'pre' hooks, the rules, 'post' hooks, the loss scale.

        Args:
            lossfun (callable): ``lossfun(*args, **kwds)`` returns the loss. Without it, gradients are as they are.
        """
        if lossfun is not None:
            loss = lossfun(*args, **kwds)
            if self._use_cleargrads:
                self.target.cleargrads()
            else:
                self.target.zerograds()
            loss.backward(loss_scale=self._loss_scale)
            del loss  # and with it the graph, before memory is needed for the update
        params = list(self.target.params())
        _reallocate_cleared_grads(params)
        self.check_nan_in_grads()
        self.call_hooks('pre')
        self.t += 1
        if self.is_safe_to_update():
            _update_all(params)
        _reallocate_cleared_grads(params)
        self.call_hooks('post')
        self.update_loss_scale()

    def use_cleargrads(self, use=True):
        """Deprecated: chooses whether ``update`` clears gradients (the default) or fills them with zeros."""
        warnings.warn('GradientMethod.use_cleargrads is deprecated.', DeprecationWarning, stacklevel=2)
        self._use_cleargrads = use

    def use_fp32_update(self, flag=True):
        """Switches updates in float32 of all float16 parameters; see ``UpdateRule.use_fp32_update``."""
        self._use_fp32_update = flag
        if self.target is not None:
            for param in self.target.params():
                if param.update_rule is not None:
                    param.update_rule.use_fp32_update(flag)


def _reallocate_cleared_grads(params):
    for param in params:
        if param.is_initialized and param.grad is None:
            with using_device(param.device):
                param.grad = param.device.xp.zeros_like(param.array)


def _update_all(params):
    """Updates parameters, together where their rules allow it."""
    batches, seen = {}, set()
    for param in params:
        if id(param) in seen:  # a parameter that is there twice is updated twice, one update after the other
            _update_batches(batches)
        rule = param.update_rule
        ours = isinstance(rule, UpdateRule) and type(param) is Parameter
        key = rule.batch_key(param) if ours else None
        if key is None:
            param.update()
        else:
            batches.setdefault(key, []).append(param)
        seen.add(id(param))
    _update_batches(batches)


def _update_batches(batches):
    for batch in batches.values():
        batch[0].update_rule.update_batch(batch)
    batches.clear()


def make_deprecation_message(module_name):
    """Returns what the names below warn with."""
    return f'chainer.optimizer.{module_name} is deprecated from v4. Use chainer.optimizer_hooks.{module_name} instead.'


def _moved(hook):
    """A subclass of ``hook`` that warns where it is made."""

    def __init__(self, *args, **kwargs):
        warnings.warn(make_deprecation_message(hook.__name__), DeprecationWarning, stacklevel=2)
        hook.__init__(self, *args, **kwargs)

    return type(hook.__name__, (hook,), {'__init__': __init__, '__module__': __name__, '__doc__': hook.__doc__})


# Where hooks were before Chainer v4.
WeightDecay = _moved(_WeightDecay)
Lasso = _moved(_Lasso)
GradientClipping = _moved(_GradientClipping)
GradientNoise = _moved(_GradientNoise)
GradientHardClipping = _moved(_GradientHardClipping)
