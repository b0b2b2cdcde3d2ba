"""Distribution function of the normal distribution."""

import math

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.exponential import exp


class Ndtr(SpecialFunction):
    name = 'ndtr'
    fallback = staticmethod(lambda v: math.erfc(-v / math.sqrt(2)) / 2)

    def derivative(self, x):
        return exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


def ndtr(x):
    """Cumulative distribution function of the standard normal distribution, elementwise."""
    return Ndtr().apply((x,))[0]
