"""Hyperbolic functions."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='cosh')
def Cosh(x):
    return eq.cosh(x)


@elementwise(label='sinh')
def Sinh(x):
    return eq.sinh(x)


def cosh(x):
    """Hyperbolic cosine, elementwise."""
    return Cosh().apply((x,))[0]


def sinh(x):
    """Hyperbolic sine, elementwise."""
    return Sinh().apply((x,))[0]
