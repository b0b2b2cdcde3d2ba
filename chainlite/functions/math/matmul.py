"""Matrix products."""

import warnings

import numpy as np

from chainlite._trilinear import Bilinear
from chainlite.backends.cpu.product import product
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.sum import sum_array
from chainlite.utils import type_check
from chainlite.variable import as_variable, operations


def _t(x, transposed):
    return x.swapaxes(-1, -2) if transposed else x


def _product(a, b, shape, result_dtype):
    """a @ b, summed over the batch axes that `shape` does not have."""
    dtype = result_dtype or (a.dtype if a.dtype is b.dtype else np.result_type(a.dtype, b.dtype))
    y = product(a, b)
    if shape is not None and y.shape != shape:
        lead = y.ndim - len(shape)
        axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and y.shape[lead + i] != 1))
        y = sum_array(y, axes, True).reshape(shape)
    return y.astype(dtype, copy=False)


class _MatMul(Bilinear):
    """op(a) @ op(b) with the batch axes broadcast, where op may transpose. The form's arrays are a, b and the
    product."""

    parameters = ('transa', 'transb', 'transc')
    transa = transb = transc = False
    dtype = None  # of the result, where it is a gradient

    def _gradient_node(self, i, gy, other):
        node, inputs = super()._gradient_node(i, gy, other)
        node.dtype = self.inputs[i].dtype
        return node, inputs

    def product(self, a, b, transposed):
        shape = self.shape
        if shape is not None and transposed:
            shape = (*shape[:-2], shape[-1], shape[-2])
        return _t(_product(a, b, shape, self.dtype), transposed)


class MatMul(_MatMul):
    place = 2

    def __init__(self, transa=False, transb=False, transc=False):
        self.transa, self.transb, self.transc = transa, transb, transc

    def check_type_forward(self, in_types):
        type_check.argname(in_types, ('a', 'b'))
        a, b = in_types
        type_check.expect(a.dtype.kind == 'f', b.dtype.kind == 'f', a.ndim >= 1, b.ndim >= 1)
        a_ndim, b_ndim = type_check.eval(a.ndim), type_check.eval(b.ndim)
        i = -1 if self.transb and b_ndim > 1 or b_ndim == 1 else -2
        j = -2 if self.transa and a_ndim > 1 else -1
        type_check.expect(a.shape[j] == b.shape[i])
        type_check.expect_broadcast_shapes(a.shape[:-2], b.shape[:-2])

    def run(self, a, b):
        return self.product(_t(a, self.transa), _t(b, self.transb), self.transc)


class MatMulGradA(_MatMul):
    place = 0

    def run(self, b, c):  # a = c b^T
        return self.product(_t(c, self.transc), _t(b, not self.transb), self.transa)


class MatMulGradB(_MatMul):
    place = 1

    def run(self, a, c):  # b = a^T c
        return self.product(_t(a, not self.transa), _t(c, self.transc), self.transb)


Bilinear.tie(MatMulGradA, MatMulGradB, MatMul)


def matmul(a, b, transa=False, transb=False):
    """Matrix product; batches of matrices broadcast, vectors are rows on the left and columns on the right.

    Args:
        a, b: float arrays of shapes (..., m, k) and (..., k, n), or vectors.
        transa, transb: whether to transpose the last two axes first.

    Returns:
        Variable of shape (..., m, n), without the axes of vectors.
    """
    a, b = as_variable(a), as_variable(b)
    if a.ndim > 1 and b.ndim > 1 or a.ndim == 0 or b.ndim == 0:
        return MatMul(transa, transb).apply((a, b))[0]
    row = reshape(a, (1, a.shape[0])) if a.ndim == 1 else a
    column = reshape(b, (b.shape[0], 1)) if b.ndim == 1 else b
    y = MatMul(transa and a.ndim > 1, transb and b.ndim > 1).apply((row, column))[0]
    shape = y.shape[:-2] + y.shape[-2:-1] * (a.ndim > 1) + y.shape[-1:] * (b.ndim > 1)
    return reshape(y, shape)


def rmatmul(self, lhs):
    """`lhs @ self`."""
    return matmul(lhs, self)


def batch_matmul(a, b, transa=False, transb=False):
    """Matrix product of each pair in a batch. Deprecated since v3: use `matmul`.

    Args:
        a, b: float arrays of shapes (n, m, k) and (n, k, l), or (n, k) for columns.
    """
    warnings.warn('batch_matmul is deprecated. Use matmul instead.', DeprecationWarning, stacklevel=2)
    a, b = as_variable(a), as_variable(b)
    a = reshape(a, (*a.shape, 1)) if a.ndim == 2 else a
    b = reshape(b, (*b.shape, 1)) if b.ndim == 2 else b
    return matmul(a, b, transa, transb)


operations.__dict__.update(matmul=matmul, rmatmul=rmatmul)
