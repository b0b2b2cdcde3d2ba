"""Lasso."""

from chainlite.backends._equations import equations, sign
from chainlite.optimizer_hooks._formula import FormulaHook


@equations
def _lasso(grad, param, *, rate):
    return grad + rate * sign(param)


class Lasso(FormulaHook):
    """Adds ``rate * sign(param)`` to each gradient: the gradient of the L1 penalty rate * sum(abs(param)).

    Args:
        rate (float): Coefficient of the penalty.
    """

    name = 'Lasso'

    def __init__(self, rate):
        self.rate = rate

    def step(self, loss_scale):
        return _lasso, {'rate': self.rate}
