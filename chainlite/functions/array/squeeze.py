"""Axes of length one taken away."""

from chainlite._adjoint import adjoint_pair
from chainlite.functions.array.reshape import _reshape_back
from chainlite.utils import type_check
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
            if not -x.ndim <= a < x.ndim:
                raise type_check.InvalidType(f'x.ndim > {a}' if a >= 0 else f'x.ndim >= {-a}', f'x.ndim is {x.ndim}')
    return Squeeze(x.shape, axis).apply((x,))[0]
