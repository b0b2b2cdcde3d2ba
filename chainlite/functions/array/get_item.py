"""Indexing and its adjoint."""
import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.variable import as_variable, operations


def _get_item(x, in_shape, slices):
    y = x[slices]
    return y if isinstance(y, type(x)) else np.asarray(y)


def _put_back(gy, in_shape, slices):
    xp = backend.get_array_module(gy)
    gx = xp.zeros(in_shape, gy.dtype)
    if all(isinstance(s, (int, slice, type(None), type(Ellipsis))) for s in slices):
        gx[slices] = gy
    else:                                                     # an index array may name an element more than once
        scatter_add = np.add.at if xp is np else xp.add.at
        scatter_add(gx, slices, gy)
    return gx


GetItem, GetItemGrad = adjoint_pair('GetItem', _get_item, 'GetItemGrad', _put_back, __name__)


def get_item(x, slices):
    """`x[slices]`: integers, slices, Ellipsis, None, and arrays or lists of integers or booleans.

    Args:
        x: array of any shape.
        slices: an index or a tuple of indices.
    """
    x = as_variable(x)
    if isinstance(slices, list):
        slices = [slices] if not slices or not all(isinstance(s, slice) for s in slices) else slices
    slices = tuple(slices) if isinstance(slices, (list, tuple)) else (slices,)
    slices = tuple([np.asarray(s) if isinstance(s, list) else getattr(s, 'array', s) for s in slices])
    if sum(s is Ellipsis for s in slices) > 1:
        raise ValueError('Only one Ellipsis is allowed')
    return GetItem(x.shape, slices).apply((x,))[0]


operations.get_item = get_item
