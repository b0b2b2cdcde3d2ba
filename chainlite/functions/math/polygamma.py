"""Polygamma functions."""

from chainlite import backend
from chainlite.functions.math._special import SpecialFunction


class PolyGamma(SpecialFunction):
    check = 'n: i, x: f'
    name = 'polygamma'

    def derivative(self, n, x):
        return polygamma(backend.get_array_module(x).asarray(n.array + 1), x)


def polygamma(n, x):
    """The n-th derivative of `digamma`, elementwise; n and x broadcast. Needs SciPy.

    Args:
        n: int array (without a gradient).
        x: float array.
    """
    xp = backend.get_array_module(x)
    return PolyGamma().apply((xp.asarray(n) if isinstance(n, int) else n, x))[0]
