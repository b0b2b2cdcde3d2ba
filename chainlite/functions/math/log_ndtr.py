"""Logarithm of the distribution function of the normal distribution."""

import math

from chainlite.functions.math._special import SpecialFunction
from chainlite.functions.math.exponential import exp


def _log_ndtr(v):
    if v > -30:
        return math.log(math.erfc(-v / math.sqrt(2)) / 2) if v < 6 else math.log1p(-math.erfc(v / math.sqrt(2)) / 2)
    series = 1 - 1 / v**2 + 3 / v**4  # asymptotic: erfc would underflow
    return -v * v / 2 - math.log(-v) - math.log(2 * math.pi) / 2 + math.log(series)


class LogNdtr(SpecialFunction):
    name = 'log_ndtr'
    fallback = staticmethod(_log_ndtr)

    def forward(self, inputs):
        self.retain_outputs((0,))
        return super().forward(inputs)

    def derivative(self, x):
        (y,) = self.get_retained_outputs()
        return exp(x * x * -0.5 - y) * (1 / math.sqrt(2 * math.pi))


def log_ndtr(x):
    """Logarithm of `ndtr`, elementwise, exact for very negative x."""
    return LogNdtr().apply((x,))[0]
