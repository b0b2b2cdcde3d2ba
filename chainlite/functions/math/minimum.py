"""Elementwise minimum."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(check='x1: f, x2: =x1')
def Minimum(x1, x2):
    return eq.minimum(x1, x2)


def minimum(x1, x2):
    """The smaller of two arrays, elementwise; they broadcast. Where equal, the gradient goes to `x1`. NaN stays NaN."""
    return Minimum().apply((x1, x2))[0]
