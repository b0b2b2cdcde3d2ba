"""Random matrices with orthonormal rows or columns."""

import math

import numpy

from chainlite import backend
from chainlite.initializer import RandomInitializer

# What each mode demands of the numbers of rows (outputs) and columns (inputs).
_MODES = {
    'auto': lambda rows, columns: True,
    'projection': lambda rows, columns: rows <= columns,
    'embedding': lambda rows, columns: rows >= columns,
    'basis': lambda rows, columns: rows == columns,
}


class Orthogonal(RandomInitializer):
    """`scale` times a random matrix with orthonormal rows (if there are fewer of them) or columns.

    An array of shape (n, ...) is taken for a matrix of n rows.

    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks,
    2013.

    Args:
        scale: norm of each row or column.
        dtype: dtype of the array.
        mode: 'projection', 'embedding' and 'basis' demand at most, at least and exactly as many outputs as inputs.
        rng: random state; None is the library's own.
    """

    def __init__(self, scale=1.1, dtype=None, mode='auto', *, rng=None):
        super().__init__(scale, dtype, rng=rng)
        if mode not in _MODES:
            raise ValueError(f"Invalid mode: {mode!r}. Choose from 'auto', 'projection', 'embedding', 'basis'.")
        self.mode = mode

    def __call__(self, array):
        self._check_dtype(array)
        if array.size == 0:
            raise ValueError('Array to be initialized must be non-empty.')
        if array.ndim == 0:
            array[...] = self.scale * self._random_sign(array)
            return
        rows, columns = len(array), math.prod(array.shape[1:])
        if not _MODES[self.mode](rows, columns):
            raise ValueError(
                f'Cannot make orthogonal {self.mode}. '
                f'shape = {array.shape}, interpreted as {columns}-dim input and {rows}-dim output.'
            )
        device = backend.get_device_from_array(array)
        with backend.using_device(device):
            normal = device.xp.empty((rows, columns), numpy.float64)
            self._draw(normal, 'normal')
            q = _orthonormal_columns(normal) if rows >= columns else _orthonormal_columns(normal.T).T
            array[...] = (self.scale * q).reshape(array.shape)

    def _random_sign(self, array):
        rng = backend.get_array_module(array).random if self.rng is None else self.rng
        draw = rng.integers if isinstance(rng, numpy.random.Generator) else rng.randint
        return 2 * int(draw(2)) - 1


def _orthonormal_columns(a):
    """Q of the QR decomposition whose R has a positive diagonal: that makes Q uniform over all such matrices."""
    xp = backend.get_array_module(a)
    q, r = xp.linalg.qr(a)
    return q * xp.where(r.diagonal() < 0, -1, 1).astype(q.dtype)
