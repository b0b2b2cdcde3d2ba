"""Logistic sigmoid."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise
def Sigmoid(x):
    return eq.sigmoid(x)


@Sigmoid.gradient
def _(y, gy):
    return (1 - y) * y * gy  # in this order one pass over memory


def sigmoid(x):
    """1 / (1 + exp(-x)), elementwise.

    Args:
        x: float array of any shape.
    """
    return Sigmoid().apply((x,))[0]
