"""Clipping of each element of the gradients."""

from chainlite.backends._equations import equations, maximum, minimum
from chainlite.optimizer_hooks._formula import FormulaHook


@equations
def _clip(grad, *, lower, upper):
    return minimum(maximum(grad, lower), upper)


class GradientHardClipping(FormulaHook):
    """Clips each element of each gradient to [lower_bound, upper_bound].

    Args:
        lower_bound (float): Smallest value.
        upper_bound (float): Largest value.
    """

    name = 'GradientHardClipping'

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def step(self, loss_scale):
        return _clip, {'lower': self.lower_bound, 'upper': self.upper_bound}
