"""Exponentials and logarithms."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='exp')
def Exp(x):
    return eq.exp(x)


@elementwise(label='log')
def Log(x):
    return eq.log(x)


@elementwise(label='log2')
def Log2(x):
    return eq.log2(x)


@elementwise(label='log10')
def Log10(x):
    return eq.log10(x)


def exp(x):
    """Exponential, elementwise."""
    return Exp().apply((x,))[0]


def log(x):
    """Natural logarithm, elementwise."""
    return Log().apply((x,))[0]


def log2(x):
    """Logarithm to base 2, elementwise."""
    return Log2().apply((x,))[0]


def log10(x):
    """Logarithm to base 10, elementwise."""
    return Log10().apply((x,))[0]
