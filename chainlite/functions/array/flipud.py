"""Rows from bottom to top."""

from chainlite._adjoint import adjoint_pair
from chainlite.functions.array.flip import _flip
from chainlite.variable import as_variable


def _flipud(x, in_shape):
    return _flip(x, 0)


FlipUD, FlipUDGrad = adjoint_pair('FlipUD', _flipud, 'FlipUDGrad', _flipud, __name__, check='a: f (_ *_)')


def flipud(a):
    """Reverses the first axis of an array (float, at least one axis)."""
    a = as_variable(a)
    return FlipUD(a.shape).apply((a,))[0]
