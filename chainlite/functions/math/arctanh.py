"""Inverse hyperbolic tangent."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='arctanh')
def Arctanh(x):
    return eq.arctanh(x)


def arctanh(x):
    """Inverse hyperbolic tangent, elementwise."""
    return Arctanh().apply((x,))[0]
