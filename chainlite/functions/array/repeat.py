"""Repeated elements."""

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.backends.cpu.indexing import add_at
from chainlite.functions.array.permutate import _at
from chainlite.variable import as_variable


def _repeat(x, in_shape, repeats, axis):
    return backend.get_array_module(x).repeat(x, repeats, axis)


def _add_up(y, in_shape, repeats, axis):
    xp = backend.get_array_module(y)
    shape = in_shape if axis is not None else (int(np.prod(in_shape)),)
    axis = (axis or 0) % len(shape)
    if len(repeats) == 1:  # each element stands `repeats` times in a row
        n = shape[axis]
        return (
            y.reshape(*shape[:axis], n, repeats[0], *shape[axis + 1 :]).sum(axis + 1, dtype=y.dtype).reshape(in_shape)
        )
    places = xp.asarray(np.repeat(np.arange(shape[axis]), repeats))
    return add_at(y, _at(axis, places), shape).reshape(in_shape)


Repeat, RepeatGrad = adjoint_pair('Repeat', _repeat, 'RepeatGrad', _add_up, __name__)


def repeat(x, repeats, axis=None):
    """Repeats elements along an axis.

    Args:
        x: array.
        repeats: int, how often; or a tuple of ints, one for each element along the axis.
        axis: int; None for the flattened array.
    """
    if isinstance(repeats, int):
        repeats = (repeats,)
    elif not isinstance(repeats, tuple) or not all(isinstance(r, int) for r in repeats):
        raise TypeError('repeats must be int or tuple of ints')
    if not all(r >= 0 for r in repeats):
        raise ValueError('all elements in repeats must be zero or larger')
    if axis is not None and not isinstance(axis, int):
        raise TypeError('axis must be int or None')
    x = as_variable(x)
    return Repeat(x.shape, tuple(map(int, repeats)), axis).apply((x,))[0]
