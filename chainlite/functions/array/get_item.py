"""Indexing and its adjoint."""

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.backends.cpu.indexing import add_at
from chainlite.variable import as_variable, operations


def _get_item(x, in_shape, slices):
    y = x[slices]
    return y if isinstance(y, type(x)) else np.asarray(y)


def _put_back(gy, in_shape, slices):
    if not all(isinstance(s, (int, slice, type(None), type(Ellipsis))) for s in slices):
        return add_at(gy, slices, in_shape)  # an index array may name an element more than once
    gx = backend.get_array_module(gy).zeros(in_shape, gy.dtype)
    gx[slices] = gy
    return gx


GetItem, GetItemGrad = adjoint_pair('GetItem', _get_item, 'GetItemGrad', _put_back, __name__)


def _index(slices):
    """An index as a tuple. A list of ints is an array of indices; other lists are tuples, as in old NumPy."""
    if isinstance(slices, list) and any(not isinstance(s, (int, np.integer)) for s in slices):
        slices = tuple(slices)
    slices = slices if isinstance(slices, tuple) else (slices,)
    if sum(s is Ellipsis for s in slices) > 1:
        raise ValueError('Only one Ellipsis is allowed')
    return tuple([_index_array(s) if isinstance(s, list) else getattr(s, 'array', s) for s in slices])


def _index_array(s):
    s = np.asarray(s)
    return s if s.size else s.astype(int)  # an empty list is one of indices, not of floats


def get_item(x, slices):
    """`x[slices]`: integers, slices, Ellipsis, None, and arrays or lists of integers or booleans.

    Args:
        x: array of any shape.
        slices: an index or a tuple of indices.
    """
    x = as_variable(x)
    slices = _index(slices)
    return GetItem(x.shape, slices).apply((x,))[0]


operations.get_item = get_item
