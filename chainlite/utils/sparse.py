"""Sparse matrices as lists of coordinates."""

import numpy

from chainlite.backend import get_array_module
from chainlite.backends.cpu.indexing import add_at
from chainlite.variable import Variable

_PADDING = -1  # row and column of elements that are not there, which pad the matrices of a batch to one length


class CooMatrix:
    """A sparse matrix, or a batch of them: values and where they are.  Values at the same place add up.

    Args:
        data: array of values (nnz), or (b, nnz) for a batch.
        row, col: integer arrays of the shape of `data`; -1 marks elements that are not there.
        shape: (rows, columns) of a matrix.
        order: 'C' if sorted by row and then column, 'F' the other way round, 'other', or None to find out.
        requires_grad: whether `data`, a Variable from now on, takes a gradient.
    """

    def __init__(self, data, row, col, shape, order=None, requires_grad=False):
        if not 1 <= data.ndim <= 2:
            raise ValueError('ndim of data must be 1 or 2.')
        if not data.shape == row.shape == col.shape:
            raise ValueError('shape of data, row and col must be the same.')
        if len(shape) != 2:
            raise ValueError('length of shape must be 2.')
        if not (shape[0] > 0 and shape[1] > 0):
            raise ValueError('numbers in shape must be greater than 0.')
        if order not in ('C', 'F', 'other', None):
            raise ValueError("order must be 'C', 'F', 'other' or None.")
        self.data = Variable(data, requires_grad=requires_grad)
        self.row = row
        self.col = col
        self.shape = shape
        self.order = get_order(row, col) if order is None else order

    def to_dense(self):
        """The matrix as an array (rows, columns), or (b, rows, columns)."""
        data, row, col = self.data.array, self.row, self.col
        there = row != _PADDING
        places = (row[there], col[there])
        if data.ndim == 2:
            places = (there.nonzero()[0], *places)
        return add_at(data[there], places, (*data.shape[:-1], *self.shape))


def to_coo(x, ldnz=None, requires_grad=False):
    """The nonzero elements of a matrix, or of a batch of them.

    Args:
        x: array (rows, columns) or (b, rows, columns).
        ldnz: how many elements to make room for; None is as many as the fullest matrix has.
        requires_grad: whether the values take a gradient.
    """
    if x.ndim not in (2, 3):
        raise ValueError('ndim of x must be 2 or 3.')
    xp = get_array_module(x)
    matrices = x if x.ndim == 3 else x[None]
    places = [xp.nonzero(matrix) for matrix in matrices]
    nnz = max((len(row) for row, _ in places), default=0)
    nnz = nnz if ldnz is None else max(nnz, ldnz)
    data = xp.zeros((len(matrices), nnz), x.dtype)
    row = xp.full(data.shape, _PADDING, numpy.int32)
    col = xp.full(data.shape, _PADDING, numpy.int32)
    for i, (matrix, (rows, cols)) in enumerate(zip(matrices, places)):
        n = len(rows)
        data[i, :n], row[i, :n], col[i, :n] = matrix[rows, cols], rows, cols
    if x.ndim == 2:
        data, row, col = data[0], row[0], col[0]
    return CooMatrix(data, row, col, x.shape[-2:], 'C', requires_grad)


def get_order(row, col):
    """'C' if places are sorted by row and then column, 'F' if by column and then row, otherwise 'other'."""
    if row.shape != col.shape:
        raise ValueError('shape of row and col must be the same.')
    if ((row == _PADDING) != (col == _PADDING)).any():
        raise ValueError('row and col must be -1 at the same places.')
    if _is_sorted(row, col):
        return 'C'
    return 'F' if _is_sorted(col, row) else 'other'


def _is_sorted(major, minor):
    before, after = major[..., :-1], major[..., 1:]
    in_order = (before < after) | ((before == after) & (minor[..., :-1] <= minor[..., 1:]))
    return bool((in_order | (after == _PADDING)).all())
