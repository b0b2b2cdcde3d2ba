"""Diagonals."""

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.utils.type_check import InvalidType
from chainlite.variable import as_variable


def _diagonal(x, in_shape, offset, axis1, axis2):
    return x.diagonal(offset, axis1, axis2).copy()


def _onto_diagonal(y, in_shape, offset, axis1, axis2):
    xp = backend.get_array_module(y)
    x = xp.zeros(in_shape, y.dtype)
    rows = xp.arange(y.shape[-1]) + max(-offset, 0)
    columns = xp.arange(y.shape[-1]) + max(offset, 0)
    xp.moveaxis(x, (axis1, axis2), (-2, -1))[..., rows, columns] = y
    return x


Diagonal, DiagonalGrad = adjoint_pair('Diagonal', _diagonal, 'DiagonalGrad', _onto_diagonal, __name__)


def diagonal(x, offset=0, axis1=0, axis2=1):
    """Diagonals of the matrices in two axes.

    Args:
        x: array.
        offset: int, how far right of the main diagonal.
        axis1, axis2: ints, the axes of rows and columns.

    Returns:
        Variable; the diagonal is its last axis, in place of the two.
    """
    x = as_variable(x)
    least = max([a + 1 if a >= 0 else -a for a in (axis1, axis2)] + [2])
    if x.ndim < least:
        raise InvalidType(f'x.ndim > {least - 1}', f'{x.ndim} <= {least - 1}', function='Diagonal')
    if (axis1 - axis2) % x.ndim == 0:
        raise ValueError('axis1 and axis2 cannot be the same')
    return Diagonal(x.shape, offset, axis1, axis2).apply((x,))[0]
