"""Elementwise maximum."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(check='x1: f, x2: =x1')
def Maximum(x1, x2):
    return eq.maximum(x1, x2)


def maximum(x1, x2):
    """The larger of two arrays, elementwise; they broadcast. Where equal, the gradient goes to `x1`. NaN stays NaN."""
    return Maximum().apply((x1, x2))[0]
