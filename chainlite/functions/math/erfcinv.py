"""Inverse of the complementary error function."""

import math

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.exponential import exp

BACKWORDC = -math.sqrt(math.pi) / 2


class ErfcInv(SpecialFunction):
    name = 'erfcinv'

    def derivative(self, x):
        y = erfcinv(x)
        return BACKWORDC * exp(y * y)


def erfcinv(x):
    """The y with erfc(y) = x, elementwise. Needs SciPy."""
    return ErfcInv().apply((x,))[0]
