"""Sums over axes."""

from math import prod

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.utils.type_check import InvalidType
from chainlite.variable import as_variable, operations


def sum_array(x, axis=None, keepdims=False):
    """`x.sum` as an array of x's dtype, added up in at least 32 bits."""
    wide = np.float32 if x.dtype.itemsize == 2 and x.dtype.kind not in 'iu' else x.dtype
    if isinstance(x, np.ndarray):
        y = np.asarray(np.add.reduce(x, axis, wide, None, keepdims))  # what x.sum calls
    else:
        y = x.sum(axis=axis, dtype=wide, keepdims=keepdims)
    return y if wide is x.dtype else y.astype(x.dtype)


def broadcast(x, shape):
    """`x` broadcast to a shape: a view that cannot be written to, or a new array where that is faster."""
    if isinstance(x, np.ndarray) and prod(shape) < 4096:
        y = np.empty(shape, x.dtype)
        y[...] = x
        return y
    return backend.get_array_module(x).broadcast_to(x, shape)


def _sum(x, in_shape, axis, keepdims):
    return sum_array(x, axis, keepdims)


def _spread(gy, in_shape, axis, keepdims):
    if not keepdims and 0 < gy.ndim < len(in_shape):
        axes = (
            range(len(in_shape))
            if axis is None
            else [a % len(in_shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
        )
        gy = gy.reshape([1 if i in axes else n for i, n in enumerate(in_shape)])
    return broadcast(gy, in_shape)


Sum, SumGrad = adjoint_pair('Sum', _sum, 'SumGrad', _spread, __name__, check='x: f')


def _sum_to(x, in_shape, shape):
    lead = x.ndim - len(shape)
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1))
    return sum_array(x, axes, True).reshape(shape)


def _broadcast_back(y, in_shape, shape):
    return broadcast(y, in_shape)


SumTo, SumToGrad = adjoint_pair('SumTo', _sum_to, 'SumToGrad', _broadcast_back, __name__)


def sum(x, axis=None, keepdims=False):
    """Sum of elements.

    Args:
        x: float array of any shape.
        axis: int or tuple of ints; all axes if None.
        keepdims: whether the axes summed over stay, with length 1.
    """
    x = as_variable(x)
    check_axes('Sum', axis, x.ndim)
    axis = axis if axis is None or isinstance(axis, tuple) else (axis,)  # as hooks and exporters read it
    return Sum(x.shape, axis, keepdims).apply((x,))[0]


def sum_to(x, shape):
    """Sums over the axes along which `shape` would have to be broadcast to become the shape of `x`."""
    x = as_variable(x)
    if x.shape == shape:
        return x
    return SumTo(x.shape, shape).apply((x,))[0]


def check_axes(label, axis, ndim):
    """Raises unless `axis` is None, an axis of an array or a tuple of different ones; InvalidType names `label`."""
    if axis is None:
        return
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not all(isinstance(a, (int, np.integer)) for a in axes):
        raise TypeError('None, int or tuple of int are required')
    if len(set(axes)) != len(axes):
        raise ValueError('duplicate value in axis: ({})'.format(', '.join(map(str, axes))))
    for a in axes:
        least = a if a >= 0 else -a - 1
        if ndim <= least:
            raise InvalidType(f'x.ndim > {least}', f'{ndim} <= {least}', function=label)
    if len({a % ndim for a in axes}) != len(axes):
        raise ValueError("duplicate value in 'axis'")


operations.__dict__.update(sum=sum, sum_to=sum_to)
