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
"""

import sys

import numpy

from chainlite.backends.cuda import is_cupy_array
from chainlite.optimizer import Hyperparameter, UpdateRule


class ElementwiseRule(UpdateRule):
    """An update rule given by equations.

    Args:
        parent_hyperparam (Hyperparameter): Usually the optimizer's.
        own: Hyperparameters that this rule has for itself; None stands for the parent's.
    """

    is_elementwise = True
    formula = None  # the equations
    state_names = ()  # of the states, in the order in which the formula takes and returns them

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

    def _arrays(self, param):
        return param.array, param.grad, *[self._state[name] for name in self.state_names]

    def update_core_cpu(self, param):
        if param.grad is None:
            return
        formula, scalars = self.step(self.hyperparam.get_dict(), param.array.dtype)
        array, grad, *states = self._arrays(param)
        formula(array, grad, *states, out=(array, *states), **scalars)

    def update_core_gpu(self, param):
        # Not an alias: a subclass that overrides only one of the two changes only that one.
        ElementwiseRule.update_core_cpu(self, param)

    # -- many parameters at once ---------------------------------------------------------------------------------------
    def __init_subclass__(cls):
        cls._is_ours = cls.__module__.startswith('chainlite.optimizers.')

    def batch_key(self, param):
        """Rules of this package share an update if nothing but the arrays is different, and nothing else is to do."""
        array, grad = param.array, param.grad
        if (
            not (self._is_ours and self.enabled)
            or self._state is None  # which the first update makes
            or self._hooks.pre
            or self._hooks.post
            or param._loss_scale is not None
            or grad is None
            or type(array) is not numpy.ndarray
            or (self._use_fp32_update and array.dtype == numpy.float16)
            or ('cupy' in sys.modules and any(map(is_cupy_array, self._state.values())))  # left on a GPU
            or len(vars(self.hyperparam)) > 1
            or not _METHODS.isdisjoint(vars(self))
        ):
            return None
        return type(self), id(self.hyperparam.parent), self.t, array.dtype.num, grad.dtype.num

    def update_batch(self, params):
        rules = [param.update_rule for param in params]
        for rule in rules:
            rule.t += 1
        try:
            formula, scalars = self.step(self.hyperparam.get_dict(), params[0].array.dtype)
            batch = [rule._arrays(param) for rule, param in zip(rules, params)]
            formula.run_each(batch, (0, *range(2, len(batch[0]))), **scalars)
        except BaseException:
            for rule in rules:
                rule.t -= 1
            raise


_METHODS = {'update', 'update_core', 'update_core_cpu'}


def hyperparameters(**values):
    """Returns a Hyperparameter with these values."""
    hp = Hyperparameter()
    vars(hp).update(values)
    return hp


def check_eps(eps, dtype, optimizer):
    """Raises ValueError if `eps` is not 0 but would be in the type `dtype`: the formula would divide by zero."""
    if eps != 0 and dtype(eps) == 0:
        raise ValueError(f'eps of {optimizer} optimizer is too small for {numpy.dtype(dtype).name} ({eps})')
