"""Clipping of each element of the gradients."""

from chainlite.backend import using_device
from chainlite.backends._equations import equations, maximum, minimum


@equations
def _clip(grad, *, lower, upper):
    return minimum(maximum(grad, lower), upper)


class GradientHardClipping:
    """Clips each element of each gradient to [lower_bound, upper_bound].

    Args:
        lower_bound (float): Smallest value.
        upper_bound (float): Largest value.
    """

    name = 'GradientHardClipping'
    call_for_each_param = True
    timing = 'pre'

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def __call__(self, rule, param):
        grad = param.grad
        if grad is None:
            return
        formula, scalars = self.step(param._loss_scale)
        with using_device(param.device):
            formula(grad, **scalars, out=grad)

    def step(self, loss_scale):
        """The equations of the new gradient, of the gradient, and their scalars."""
        return _clip, {'lower': self.lower_bound, 'upper': self.upper_bound}
