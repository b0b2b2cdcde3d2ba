"""Rectifiers with an upper bound."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import maximum, minimum, where


@elementwise
def ClippedReLU(x, *, cap):
    return minimum(maximum(x, 0), cap)


@ClippedReLU.gradient
def _(x, gy, *, cap):
    return where((x > 0) & (x < cap), gy, 0)


def clipped_relu(x, z=20.0):
    """min(max(0, x), z), elementwise.

    Args:
        x: float array of any shape.
        z: float, the upper bound.
    """
    return ClippedReLU(cap=z).apply((x,))[0]


def relu6(x):
    """min(max(0, x), 6), elementwise.

    Args:
        x: float array of any shape.

    See: https://www.cs.toronto.edu/~kriz/conv-cifar10-aug2010.pdf
    """
    return clipped_relu(x, 6.0)
