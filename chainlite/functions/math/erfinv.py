"""Inverse of the error function."""

import math

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.exponential import exp

BACKWORDC = math.sqrt(math.pi) / 2


class ErfInv(SpecialFunction):
    name = 'erfinv'

    def derivative(self, x):
        y = erfinv(x)
        return BACKWORDC * exp(y * y)


def erfinv(x):
    """The y with erf(y) = x, elementwise. Needs SciPy."""
    return ErfInv().apply((x,))[0]
