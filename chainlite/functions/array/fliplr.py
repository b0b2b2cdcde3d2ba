"""Columns from right to left."""

from chainlite._adjoint import adjoint_pair
from chainlite.functions.array.flip import _flip
from chainlite.variable import as_variable


def _fliplr(x, in_shape):
    return _flip(x, 1)


FlipLR, FlipLRGrad = adjoint_pair('FlipLR', _fliplr, 'FlipLRGrad', _fliplr, __name__, check='a: f (_ _ *_)')


def fliplr(a):
    """Reverses the second axis of an array (float, at least two axes)."""
    a = as_variable(a)
    return FlipLR(a.shape).apply((a,))[0]
