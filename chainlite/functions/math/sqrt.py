"""Square roots."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='sqrt')
def Sqrt(x):
    return eq.sqrt(x)


@elementwise(label='rsqrt')
def RsqrtGPU(x):
    return eq.rsqrt(x)


def sqrt(x):
    """Square root, elementwise."""
    return Sqrt().apply((x,))[0]


def rsqrt(x):
    """1 / sqrt(x), elementwise."""
    return RsqrtGPU().apply((x,))[0]
