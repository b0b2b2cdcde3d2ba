"""Convolutions with filters of one offset, by cuBLAS on the images as they lie.

Images that are channels last are a matrix with a row for each pixel, and so are the results; C-contiguous images are a
stack of matrices with a column for each pixel.
"""

from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import is_last
from chainlite.backends.cpu.conv import convolve, deconvolve, filter_grad
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._gemm import Matrix, multiply
from chainlite.backends.gpu._launch import contiguous, is_float
from chainlite.backends.gpu._transpose import dense, empty


def is_pointwise(ksize, stride, pad):
    """Whether a convolution without groups is a product of matrices."""
    return prod(ksize) == prod(stride) == 1 and not any(pad)


def _takes(a, b, ksize, stride, pad, groups):
    return groups == 1 and is_pointwise(ksize, stride, pad) and a.dtype == b.dtype and is_float(a, b)


def _product(x, W, by_columns, b, m, dtype):
    """(n, m, *dims), the product of each pixel of x (n, c, *dims) with W (m, c), or (c, m) if `by_columns`."""
    last = is_last(x)
    x = dense(x, last)
    (W,) = contiguous(W)
    n, c, *dims = x.shape
    pixels = prod(dims)
    y = empty((n, m, *dims), dtype if dtype in (x.dtype, np.float32) else x.dtype, last)
    step = m if by_columns else c
    if last:
        matrices = Matrix(x, False, c, 0), Matrix(W, not by_columns, step, 0), Matrix(y, False, m, 0)
        multiply(*matrices, 1, n * pixels, m, c)
    else:
        matrices = Matrix(W, by_columns, step, 0), Matrix(x, False, pixels, c * pixels)
        multiply(*matrices, Matrix(y, False, pixels, m * pixels), n, m, pixels, c)
    if b is not None:
        y += b.astype(y.dtype, copy=False).reshape(-1, *[1] * len(dims))
    return y.astype(dtype, copy=False)


def _takes_convolution(x, W, b, stride, pad, dilate, groups, outs, dtype):
    return _takes(x, W, W.shape[2:], stride, pad, groups) and tuple(outs) == x.shape[2:]


@convolve.when(gpu, _takes_convolution)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    return _product(x, W, False, b, len(W), dtype)


def _takes_deconvolution(y, W, b, stride, pad, dilate, groups, dims, dtype):
    return _takes(y, W, W.shape[2:], stride, pad, groups) and tuple(dims) == y.shape[2:]


@deconvolve.when(gpu, _takes_deconvolution)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    return _product(y, W, True, b, W.shape[1], dtype)


def _takes_filter_grad(x, gy, ksize, stride, pad, dilate, groups, dtype):
    return _takes(x, gy, ksize, stride, pad, groups) and is_last(x) and x.shape[2:] == gy.shape[2:]


@filter_grad.when(gpu, _takes_filter_grad)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    x, gy = dense(x, True), dense(gy, True)
    c, m = x.shape[1], gy.shape[1]
    gW = cuda.cupy.empty((m, c, *ksize), dtype if dtype in (x.dtype, np.float32) else x.dtype)
    multiply(Matrix(gy, True, m, 0), Matrix(x, False, c, 0), Matrix(gW, False, c, 0), 1, m, c, x.size // c)
    return gW.astype(dtype, copy=False)
