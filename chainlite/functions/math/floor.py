"""Rounding down."""

from chainlite import backend
from chainlite.variable import Variable, as_array


def floor(x):
    """Largest integers not above the elements, without a gradient."""
    x = as_array(x)
    xp = backend.get_array_module(x)
    return Variable(xp.asarray(xp.floor(x)).astype(x.dtype, copy=False), requires_grad=False)
