"""Quantiles of the normal distribution."""

import math

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.exponential import exp


class Ndtri(SpecialFunction):
    name = 'ndtri'

    def derivative(self, x):
        y = ndtri(x)
        return exp(y * y * 0.5) * math.sqrt(2 * math.pi)


def ndtri(x):
    """Inverse of `ndtr`, elementwise. Needs SciPy."""
    return Ndtri().apply((x,))[0]
