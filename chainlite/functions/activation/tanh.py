"""Hyperbolic tangent."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise
def Tanh(x):
    return eq.tanh(x)


@Tanh.gradient
def _(y, gy):
    return gy * (1 - y * y)


def tanh(x):
    """Hyperbolic tangent, elementwise.

    Args:
        x: float array of any shape.
    """
    return Tanh().apply((x,))[0]
