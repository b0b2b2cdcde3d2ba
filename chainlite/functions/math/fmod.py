"""Remainders."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='fmod', check='x: f, divisor: =x')
def Fmod(x, divisor):
    return eq.fmod(x, divisor)


def fmod(x, divisor):
    """The remainder of x / divisor with the sign of x, elementwise; x and divisor broadcast."""
    return Fmod().apply((x, divisor))[0]
