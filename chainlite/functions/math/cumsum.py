"""Cumulative sums."""

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.functions.array.flip import _flip
from chainlite.utils.type_check import InvalidType
from chainlite.variable import as_variable


def in_float32(f, x):
    """f(x), in float32 if x is bfloat16: CuPy has no sums and products of those along an axis."""
    return f(x) if x.dtype.kind == 'f' else f(x.astype('f')).astype(x.dtype)


def _cumsum(x, in_shape, axis):
    return in_float32(lambda x: backend.get_array_module(x).cumsum(x, axis, dtype=x.dtype), x)


def _cumsum_from_the_end(y, in_shape, axis):
    axis = 0 if axis is None else axis
    return _flip(_cumsum(_flip(y, axis), None, axis), axis).reshape(in_shape)


Cumsum, CumsumGrad = adjoint_pair('Cumsum', _cumsum, 'CumsumGrad', _cumsum_from_the_end, __name__, check='x: f')


def check_axis_or_none(label, axis, ndim):
    """Raises TypeError unless the axis is an int or None, InvalidType, naming `label`, unless x has it."""
    if axis is None:
        return
    if not isinstance(axis, int):
        raise TypeError('axis must be int or None')
    least = axis if axis >= 0 else -axis - 1
    if ndim <= least:
        raise InvalidType(f'x.ndim > {least}', f'{ndim} <= {least}', function=label)


def cumsum(x, axis=None):
    """Sums of the elements up to each, along an axis.

    Args:
        x: float array.
        axis: int; None for the flattened array.
    """
    x = as_variable(x)
    check_axis_or_none('Cumsum', axis, x.ndim)
    return Cumsum(x.shape, axis).apply((x,))[0]
