"""Axes of length one taken away."""

from chainlite._adjoint import adjoint_pair
from chainlite.functions.array._axes import check_axis
from chainlite.functions.array.reshape import _reshape_back
from chainlite.variable import as_variable


def _squeeze(x, in_shape, axis):
    return x.squeeze(axis)


Squeeze, SqueezeGrad = adjoint_pair('Squeeze', _squeeze, 'SqueezeGrad', _reshape_back, __name__)


def squeeze(x, axis=None):
    """Takes away axes of length 1: all of them, or those given (int or tuple of ints)."""
    x = as_variable(x)
    if axis is not None:
        axis = axis if isinstance(axis, tuple) else (axis,)
        if not all(isinstance(a, int) for a in axis):
            raise TypeError('axis must be None, int or tuple of ints')
        for a in axis:
            check_axis('Squeeze', a, x.ndim, 'in_types[0]')
    return Squeeze(x.shape, axis).apply((x,))[0]
