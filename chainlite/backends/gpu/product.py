"""Matrix products by cuBLAS, also while a CUDA graph is captured."""

from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.product import product, product_into
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._gemm import gemm
from chainlite.backends.gpu._launch import is_float


def _takes(a, b):
    return (
        is_float(a, b)
        and (a.dtype == b.dtype or 'E' not in a.dtype.char + b.dtype.char)
        and min(a.ndim, b.ndim) >= 2
        and a.shape[-1] == b.shape[-2]
    )


def _stack(a):
    """As a stack of matrices (s, m, n) that are contiguous along an axis."""
    m, n = a.shape[-2:]
    row, column = [stride // a.itemsize for stride in a.strides[-2:]]
    by_rows = (column == 1 or n == 1) and (row >= n or m == 1)
    by_columns = (row == 1 or m == 1) and column >= m
    if not (by_rows or by_columns):
        a = cuda.cupy.ascontiguousarray(a)
    return a.reshape(-1, m, n)


@product.when(gpu, _takes)
def _(a, b):
    if a.dtype != b.dtype:
        dtype = np.result_type(a.dtype, b.dtype)
        a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    if min(a.ndim, b.ndim) > 2 and a.shape[:-2] != b.shape[:-2]:
        stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = [cuda.cupy.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b)]
    stack = a.shape[:-2] or b.shape[:-2]
    y = cuda.cupy.empty((*stack, a.shape[-2], b.shape[-1]), a.dtype)
    gemm(_stack(a), _stack(b), y.reshape(prod(stack), *y.shape[-2:]))
    return y


@product_into.when(gpu, lambda a, b, out: is_float(a, b, out) and a.dtype == b.dtype == out.dtype)
def _(a, b, out):
    gemm(_stack(a), _stack(b), out[None])
