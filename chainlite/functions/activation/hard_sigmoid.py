"""Piecewise linear sigmoid."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import maximum, minimum, where


@elementwise
def HardSigmoid(x):
    return minimum(maximum(x * 0.2 + 0.5, 0), 1)


@HardSigmoid.gradient
def _(x, gy):
    return where((x > -2.5) & (x < 2.5), 0.2 * gy, 0)


def hard_sigmoid(x):
    """0.2 x + 0.5, limited to [0, 1], elementwise.

    Args:
        x: float array of any shape.
    """
    return HardSigmoid().apply((x,))[0]
