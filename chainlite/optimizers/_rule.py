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

import numpy

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

    def update_core_cpu(self, param):
        grad = param.grad
        if grad is None:
            return
        array, state = param.array, self.state
        states = [state[name] for name in self.state_names]
        formula, scalars = self.step(self.hyperparam.get_dict(), array.dtype)
        formula(array, grad, *states, out=(array, *states), **scalars)

    def update_core_gpu(self, param):
        # Not an alias: a subclass that overrides only one of the two changes only that one.
        ElementwiseRule.update_core_cpu(self, param)


def hyperparameters(**values):
    """Returns a Hyperparameter with these values."""
    hp = Hyperparameter()
    vars(hp).update(values)
    return hp


def check_eps(eps, dtype, optimizer):
    """Raises ValueError if `eps` is not 0 but would be in the type `dtype`: the formula would divide by zero."""
    if eps != 0 and dtype(eps) == 0:
        raise ValueError(f'eps of {optimizer} optimizer is too small for {numpy.dtype(dtype).name} ({eps})')
