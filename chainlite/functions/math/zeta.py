"""Hurwitz zeta function."""

from chainlite import backend
from chainlite.functions.math._special import SpecialFunction, special
from chainlite.variable import as_array


class Zeta(SpecialFunction):
    check = 'q: f'
    name = 'zeta'

    def __init__(self, x):
        self.x = x

    def forward(self, inputs):
        self.retain_inputs((0,))
        (q,) = inputs
        y = special('zeta', backend.get_array_module(q).asarray(self.x).astype(q.dtype), q)
        return (backend.get_array_module(q).asarray(y, q.dtype),)

    def derivative(self, q):
        return zeta(self.x + 1, q) * -backend.get_array_module(q).asarray(self.x).astype(q.dtype)


def zeta(x, q):
    """Hurwitz zeta function, sum over k of (k + q) ** -x, elementwise. Needs SciPy.

    Args:
        x: float or array (without a gradient), greater than 1.
        q: float array.
    """
    return Zeta(as_array(x)).apply((q,))[0]
