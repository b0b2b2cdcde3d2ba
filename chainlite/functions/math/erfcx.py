"""Scaled complementary error function."""

import math

from chainlite.functions.math._special import SpecialFunction


class Erfcx(SpecialFunction):
    name = 'erfcx'

    def derivative(self, x):
        return 2 * x * erfcx(x) - 2 / math.sqrt(math.pi)


def erfcx(x):
    """exp(x ** 2) * erfc(x), elementwise. Needs SciPy."""
    return Erfcx().apply((x,))[0]
