"""Rectified linear unit."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import maximum, where


@elementwise
def ReLU(x):
    return maximum(x, 0)


@ReLU.gradient
def _(y, gy):
    return where(y > 0, gy, 0)


def relu(x):
    """max(0, x), elementwise. NaN stays NaN.

    Args:
        x: float array of any shape.

    Returns:
        Variable of the same shape and dtype.
    """
    return ReLU().apply((x,))[0]
