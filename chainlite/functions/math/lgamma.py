"""Logarithm of the gamma function."""

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.digamma import digamma


class LGamma(SpecialFunction):
    name = 'gammaln'
    label = 'lgamma'

    def derivative(self, x):
        return digamma(x)


def lgamma(x):
    """Logarithm of the absolute value of the gamma function, elementwise. Needs SciPy."""
    return LGamma().apply((x,))[0]
