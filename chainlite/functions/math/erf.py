"""Error function."""

import math

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.exponential import exp


class Erf(SpecialFunction):
    name = 'erf'
    fallback = staticmethod(math.erf)

    def derivative(self, x):
        return exp(-(x * x)) * (2 / math.sqrt(math.pi))


def erf(x):
    """Error function, 2 / sqrt(pi) times the integral of exp(-t ** 2) from 0 to x, elementwise."""
    return Erf().apply((x,))[0]
