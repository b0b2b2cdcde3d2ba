"""Optimizers: update rules for single parameters, and the objects that apply them to a model.

An ``Optimizer`` holds what is common to a model (the target link, hyperparameters, hooks, loss scale, epoch); an
``UpdateRule`` holds what belongs to one parameter (its state and its number of updates). ``GradientMethod`` gives every
parameter of a link a rule and runs them: gradients, hooks, rules, hooks. Both kinds of object take hooks with a timing,
'pre' (between the gradients and the update) or 'post' (after the update).

A rule overrides ``update_core``, or ``update_core_cpu`` and ``update_core_gpu``; the optimizers of this package write
their rule as one formula instead (``chainlite.optimizers._rule``), and such rules update many parameters at once
(``chainlite._batched_update``).
"""

import math
import warnings

from chainlite import _batched_update
from chainlite._update_memory import Memory
from chainlite._update_rule import TIMINGS, Hooks
from chainlite._update_rule import Hyperparameter as Hyperparameter
from chainlite._update_rule import HyperparameterProxy as HyperparameterProxy
from chainlite._update_rule import UpdateRule as UpdateRule
from chainlite.backend import using_device
from chainlite.backends._cuda_errors import release
from chainlite.link import Link
from chainlite.optimizer_hooks.gradient_clipping import GradientClipping as _GradientClipping
from chainlite.optimizer_hooks.gradient_hard_clipping import GradientHardClipping as _GradientHardClipping
from chainlite.optimizer_hooks.gradient_noise import GradientNoise as _GradientNoise
from chainlite.optimizer_hooks.lasso import Lasso as _Lasso
from chainlite.optimizer_hooks.weight_decay import WeightDecay as _WeightDecay

_MAX_LOSS_SCALE = 65504  # the largest float16


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
    _kept = None

    @property
    def _memory(self):
        """What is kept from one update to the next."""
        if self._kept is None:
            self._kept = Memory()
        return self._kept

    def setup(self, link):
        """Takes ``link`` as the target, sets the counters to 0, removes all hooks, and returns the optimizer."""
        if not isinstance(link, Link):
            raise TypeError('optimization target must be a link')
        self.target = link
        self.t = 0
        self.epoch = 0
        self._hooks = Hooks()
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
        if timing == 'auto' and callable(hook) and getattr(hook, 'timing', 'pre') not in TIMINGS:
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
        if timing not in TIMINGS:
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
        named = [
            (name, grad)
            for name, param in self.target.namedparams()
            if param.array is not None and (grad := param.grad) is not None
        ]
        # All flags first, then one look at them: on a GPU each look waits for the device.
        for (name, _), flag in zip(named, _batched_update.not_finite([grad for _, grad in named], self._memory)):
            if flag:
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
            self._compute_gradients(lossfun, args, kwds)
        params = self._memory.params(self.target)
        gradients = _batched_update.gradients(params)
        self.check_nan_in_grads()
        called, joined = self._split_hooks(gradients)
        for hook in called:
            self.call_hook(hook)
        if len(joined) < len(self._hooks.pre):  # hooks have been called, which may have given other gradients
            gradients = _batched_update.gradients(params)
        self.t += 1
        if not self.is_safe_to_update():
            for hook in joined:
                self.call_hook(hook)
        else:
            try:
                alone = _batched_update.update(params, gradients, joined, self._memory)
            except BaseException:
                self.t -= 1
                raise
            if alone:
                _reallocate_cleared_grads(params)
        self.call_hooks('post')
        self.update_loss_scale()

    def _compute_gradients(self, lossfun, args, kwds):
        try:
            loss = lossfun(*args, **kwds)
            if self._use_cleargrads:
                self.target.cleargrads()
            else:
                self.target.zerograds()
            loss.backward(loss_scale=self._loss_scale)
        except Exception as error:
            loss = None
            release(error)
            raise

    def _split_hooks(self, gradients):
        """The 'pre' hooks that are called, and those after them that may join the update of many parameters at once.

        None do where parameters share arrays: all hooks come before the first update.
        """
        self._check_set_up()
        called, joined = list(self._hooks.pre.values()), []
        if called and not _is_ours(self, 'call_hooks', Optimizer):
            self.call_hooks('pre')
            return [], []
        if not called or not _is_ours(self, 'call_hook', GradientMethod) or _batched_update.are_shared(gradients):
            return called, []
        while called and _joins(called[-1]):
            joined.insert(0, called.pop())
        return called, joined

    def refresh_scalars(self, count=True):
        """Brings learning rate, bias corrections, hooks' coefficients ... to the GPU, for an update in a CUDA graph.

        The launches of an update read such numbers from device memory. While a graph is recorded, ``update`` counts
        itself but leaves that memory as it is. So call this before each launch of the graph, in its stream: with
        ``count=False`` before the first, which is the update that was recorded, then without arguments. Everything
        else must be as it was recorded: the arrays, the loss scale, which parameters are enabled.

        Args:
            count (bool): Whether to count one more update, as ``update`` does.

        Raises:
            RuntimeError: If no update was recorded, or one that a replay would not repeat: with parameters that have
                rules of users or unknown hooks.
        """
        recorded = self._memory.recorded
        if recorded is None:
            raise RuntimeError('no update was recorded: call update while a stream captures a CUDA graph')
        recorded.check()
        if count:
            self.t += 1
            recorded.count()
        recorded.refresh()

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


def _is_ours(optimizer, name, owner):
    """Whether a method is that of the class `owner`: neither a subclass nor the object has one of its own."""
    return getattr(type(optimizer), name) is getattr(owner, name) and name not in vars(optimizer)


def _joins(hook):
    if getattr(hook, 'call_for_each_param', False):
        return _batched_update.is_elementwise(hook)
    return _batched_update.is_clipping(hook)


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
