"""Digamma function."""

from chainlite import backend
from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.polygamma import polygamma


class DiGamma(SpecialFunction):
    name = 'digamma'

    def derivative(self, x):
        xp = backend.get_array_module(x)
        return polygamma(xp.ones(x.shape, 'i'), x)


def digamma(x):
    """Digamma function, the derivative of `lgamma`, elementwise. Needs SciPy."""
    return DiGamma().apply((x,))[0]
