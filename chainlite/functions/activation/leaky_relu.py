"""Leaky rectifier."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import where


@elementwise
def LeakyReLU(x, *, slope):
    return where(x >= 0, x, slope * x)


@LeakyReLU.gradient
def _(x, gy, *, slope):
    return where(x > 0, gy, slope * gy)


def leaky_relu(x, slope=0.2):
    """x where it is positive, slope * x elsewhere.

    Args:
        x: float array of any shape.
        slope: float.
    """
    return LeakyReLU(slope=slope).apply((x,))[0]
