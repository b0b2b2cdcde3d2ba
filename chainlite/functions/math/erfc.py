"""Complementary error function."""

import math

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.exponential import exp


class Erfc(SpecialFunction):
    name = 'erfc'
    fallback = staticmethod(math.erfc)

    def derivative(self, x):
        return exp(-(x * x)) * (-2 / math.sqrt(math.pi))


def erfc(x):
    """1 - erf(x), elementwise, exact for large x."""
    return Erfc().apply((x,))[0]
