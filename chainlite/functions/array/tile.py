"""Tiles."""

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.functions.math.sum import sum_array
from chainlite.variable import as_variable


def _tile(x, in_shape, reps):
    return backend.get_array_module(x).tile(x, reps)


def _add_up(y, in_shape, reps):
    shape = (1,) * (len(reps) - len(in_shape)) + in_shape
    reps = (1,) * (len(shape) - len(reps)) + reps
    y = y.reshape([n for pair in zip(reps, shape) for n in pair])
    return sum_array(y, tuple(range(0, y.ndim, 2))).reshape(in_shape)


Tile, TileGrad = adjoint_pair('Tile', _tile, 'TileGrad', _add_up, __name__)


def tile(x, reps):
    """Repeats the whole array along each axis.

    Args:
        x: array.
        reps: int or tuple of ints, how often along each axis; axes are added in front of the shorter of reps and shape.
    """
    if isinstance(reps, int):
        reps = (reps,)
    elif not isinstance(reps, tuple) or not all(isinstance(r, int) for r in reps):
        raise TypeError(f'reps must be int or tuple of ints.\nActual: {type(reps)}')
    if not all(r >= 0 for r in reps):
        raise ValueError('All elements in reps must be zero or larger')
    x = as_variable(x)
    return Tile(x.shape, reps).apply((x,))[0]
