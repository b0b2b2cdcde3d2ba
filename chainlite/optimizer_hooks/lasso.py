"""Lasso."""

from chainlite.backend import using_device
from chainlite.backends._equations import equations, sign


@equations
def _lasso(grad, param, *, rate):
    return grad + rate * sign(param)


class Lasso:
    """Adds ``rate * sign(param)`` to each gradient: the gradient of the L1 penalty rate * sum(abs(param)).

    Args:
        rate (float): Coefficient of the penalty.
    """

    name = 'Lasso'
    call_for_each_param = True
    timing = 'pre'

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, rule, param):
        p, g = param.array, param.grad
        if p is None or g is None:
            return
        formula, scalars = self.step(param._loss_scale)
        with using_device(param.device):
            formula(g, p, **scalars, out=g)

    def step(self, loss_scale):
        """The equations of the new gradient, of the gradient and the parameter, and their scalars."""
        return _lasso, {'rate': self.rate}
