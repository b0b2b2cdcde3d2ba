"""Shapes of arrays."""

import math

from chainlite import backend
from chainlite.utils._check import kind_of


def as_vec(x):
    """`x` with all its elements in one dimension."""
    return x.reshape(-1)


def as_mat(x):
    """`x` as a matrix with one row for each element of the first dimension."""
    return x.reshape(len(x), -1)


def empty_like(x):
    """An uninitialized array with the shape and dtype of `x`, on its device."""
    return backend.get_array_module(x).empty_like(x)


def size_of_shape(shape):
    """How many elements an array of this shape has."""
    return math.prod(shape)


def sum_to(x, shape):
    """Sums `x` over the dimensions along which an array of `shape` is broadcast to give `x.shape`.

    It is the transpose of broadcasting.  float16 and bfloat16 are added up in float32.
    """
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    if lead < 0:
        raise ValueError(f'cannot sum an array of shape {x.shape} to the shape {shape}')
    axes = tuple(range(lead)) + tuple(lead + i for i, size in enumerate(shape) if size == 1)
    if x.dtype.itemsize == 2 and kind_of(x.dtype) == 'f':
        y = x.sum(axes, keepdims=True, dtype='f').astype(x.dtype)
    else:
        y = x.sum(axes, keepdims=True)
    if y.shape[lead:] != tuple(shape):
        raise ValueError(f'cannot sum an array of shape {x.shape} to the shape {shape}')
    return y.reshape(shape)
