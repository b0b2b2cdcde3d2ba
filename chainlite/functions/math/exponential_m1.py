"""exp(x) - 1."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='expm1')
def Expm1(x):
    return eq.expm1(x)


def expm1(x):
    """exp(x) - 1, elementwise, exact for small x."""
    return Expm1().apply((x,))[0]
