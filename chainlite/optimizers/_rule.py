"""What the update rules of this package share: a rule is a formula of the elements of its arrays.

    @equations
    def _momentum_sgd(param, grad, v, *, lr, momentum):
        v = momentum * v - lr * grad
        return param + v, v

    class MomentumSGDRule(ElementwiseRule):
        formula = _momentum_sgd
        state_names = 'v',

The formula takes the parameter, its gradient and the states, and returns the new parameter and the new states, which
are written in place: in blocks that stay in the cache on NumPy, in one kernel on CuPy. States have the dtype of the
parameter; what is stored in 16 bits is computed in 32. Numbers such as 1 - beta2 are computed in Python, in 64 bits,
and only then rounded to the dtype of the formula.

Parameters whose rules agree in all but their arrays are updated together (``chainlite._batched_update``).
"""

from collections.abc import Hashable

import numpy

from chainlite._batched_update import hook_key
from chainlite._update_rule import Hyperparameter, UpdateRule


class ElementwiseRule(UpdateRule):
    """An update rule given by equations.

    Args:
        parent_hyperparam (Hyperparameter): Usually the optimizer's.
        own: Hyperparameters that this rule has for itself; None stands for the parent's.
    """

    is_elementwise = True
    formula = None  # the equations
    state_names = ()  # of the states, in the order in which the formula takes and returns them
    own_attributes = ()  # names of what a rule has besides those of all rules

    def __init__(self, parent_hyperparam, **own):
        super().__init__(parent_hyperparam)
        for name, value in own.items():
            if value is not None:
                setattr(self.hyperparam, name, value)

    def init_state(self, param):
        for name in self.state_names:
            self.state[name] = param.device.xp.zeros_like(param.array)

    def step(self, hp, dtype):
        """The equations of an update, and their scalars: by default the hyperparameters of the same names.

        Args:
            hp (dict): Hyperparameters.
            dtype: Dtype of the parameter.
        """
        return self.formula, {name: hp[name] for name in self.formula.scalars}

    def update_core_cpu(self, param):
        if param.grad is None:
            return
        formula, scalars = self.step(self.hyperparam.get_dict(), param.array.dtype)
        states = [self._state[name] for name in self.state_names]
        formula(param.array, param.grad, *states, out=(param.array, *states), **scalars)

    def update_core_gpu(self, param):
        # Not an alias: a subclass that overrides only one of the two changes only that one.
        ElementwiseRule.update_core_cpu(self, param)

    @classmethod
    def makes_batches(cls):
        # A class that a user derived may do anything, and so may one of ours in which a method was replaced.
        return (
            cls.__module__.startswith('chainlite.optimizers.')
            and cls.update is UpdateRule.update
            and cls.update_core is UpdateRule.update_core
            and cls.update_core_cpu is ElementwiseRule.update_core_cpu is _CORES[0]
            and cls.update_core_gpu is ElementwiseRule.update_core_gpu is _CORES[1]
        )

    def batch_key(self):
        own, hp = vars(self), self.hyperparam
        if len(own) != _PLAIN + len(self.own_attributes):  # a method was replaced
            return None
        if not own['enabled']:
            return ()
        hooks = own['_hooks']
        key = self.__class__, hp._parent, own['t'], own['_use_fp32_update']
        if hooks.post or hooks.pre:
            hooked = None if hooks.post else hook_key(hooks.pre.values())
            if hooked is None:
                return None
            key += hooked
        if len(hp.__dict__) > 1:
            own_values = [item for item in hp.__dict__.items() if item[0] != '_parent']
            if not all([isinstance(value, Hashable) for _, value in own_values]):  # arrays
                return None
            key += (tuple(own_values),)
        return key + tuple([own[name] for name in self.own_attributes]) if self.own_attributes else key

    def alike(self):
        own, parent = self.__dict__, self.hyperparam._parent
        t, half, size = own['t'], own['_use_fp32_update'], len(own)
        values = [(name, own[name]) for name in self.own_attributes]

        def test(rule):
            own = rule.__dict__
            hp, hooks = own['hyperparam'].__dict__, own['_hooks']
            if hooks.pre or hooks.post or len(hp) > 1 or hp['_parent'] is not parent or not own['enabled']:
                return False
            if own['t'] != t or own['_use_fp32_update'] != half or len(own) != size:
                return False
            for name, value in values:
                if own[name] != value:
                    return False
            return True

        return test


_CORES = ElementwiseRule.update_core_cpu, ElementwiseRule.update_core_gpu
_PLAIN = len(vars(UpdateRule()))  # attributes of every rule


def hyperparameters(**values):
    """Returns a Hyperparameter with these values."""
    hp = Hyperparameter()
    vars(hp).update(values)
    return hp


def check_eps(eps, dtype, optimizer):
    """Raises ValueError if `eps` is not 0 but would be in the type `dtype`: the formula would divide by zero."""
    if eps != 0 and dtype(eps) == 0:
        raise ValueError(f'eps of {optimizer} optimizer is too small for {numpy.dtype(dtype).name} ({eps})')
