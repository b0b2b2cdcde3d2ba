"""Rounding up."""

from chainlite import backend
from chainlite.variable import Variable, as_array


def ceil(x):
    """Smallest integers not below the elements, without a gradient."""
    x = as_array(x)
    xp = backend.get_array_module(x)
    return Variable(xp.asarray(xp.ceil(x)).astype(x.dtype, copy=False), requires_grad=False)
