"""Reversal along an axis."""

from chainlite._adjoint import adjoint_pair
from chainlite.functions.array._axes import check_axis, check_int
from chainlite.variable import as_variable


def _flip(array, axis):
    """`array` with the elements along an axis in reverse order."""
    return array[tuple([slice(None)] * (axis % array.ndim) + [slice(None, None, -1)])]


def _flip_forward(x, in_shape, axis):
    return _flip(x, axis)


Flip, FlipGrad = adjoint_pair('Flip', _flip_forward, 'FlipGrad', _flip_forward, __name__)


def flip(x, axis):
    """Reverses the order of the elements along an axis.

    Args:
        x: array.
        axis: int.
    """
    check_int(axis, 'axis')
    x = as_variable(x)
    check_axis('Flip', axis, x.ndim)
    return Flip(x.shape, axis).apply((x,))[0]
