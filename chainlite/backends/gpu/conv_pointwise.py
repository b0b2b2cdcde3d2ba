"""Convolutions with filters of one offset, by cuBLAS on the images as they lie.

Images that are channels last are a matrix with a row for each pixel, and so are the results; C-contiguous images are a
stack of matrices with a column for each pixel.
"""

import functools
from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import is_last
from chainlite.backends.cpu.conv import convolve, deconvolve, filter_grad
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._gemm import Form, Product
from chainlite.backends.gpu._launch import contiguous, is_float
from chainlite.backends.gpu._transpose import dense, empty, orders


@functools.lru_cache(4096)
def is_pointwise(ksize, stride, pad):
    """Whether a convolution without groups is a product of matrices."""
    return prod(ksize) == prod(stride) == 1 and not any(pad)


def _takes(a, b, ksize, stride, pad, groups):
    return groups == 1 and is_pointwise(ksize, stride, pad) and a.dtype == b.dtype and is_float(a, b)


class _Plan:
    """The product of each pixel of x (n, c, *dims) with W (m, c), or (c, m) if `by_columns`, in (n, m, *dims)."""

    def __init__(self, x_shape, x_strides, m, by_columns, dtype, result):
        n, c, *dims = x_shape
        pixels = prod(dims)
        by_rows, last = orders(x_shape, x_strides, dtype.itemsize)
        self.last = last and not by_rows
        self.shape, self.dtype, self.result = (n, m, *dims), result if result == np.float32 else dtype, result
        step = m if by_columns else c
        if self.last:
            forms = Form(False, c, 0), Form(not by_columns, step, 0), Form(False, m, 0)
            self.product = Product(dtype, self.dtype, *forms, 1, n * pixels, m, c)
        else:
            forms = Form(by_columns, step, 0), Form(False, pixels, c * pixels), Form(False, pixels, m * pixels)
            self.product = Product(dtype, self.dtype, *forms, n, m, pixels, c)

    def __call__(self, x, W, b):
        x, y = dense(x, self.last), empty(self.shape, self.dtype, self.last)
        (W,) = contiguous(W)
        if self.last:
            self.product(x, W, y)
        else:
            self.product(W, x, y)
        if b is not None:
            y += b.astype(y.dtype, copy=False).reshape(-1, *[1] * (y.ndim - 2))
        return y if self.dtype == self.result else y.astype(self.result)


_plan = functools.lru_cache(4096)(_Plan)


def _takes_convolution(x, W, b, stride, pad, dilate, groups, outs, dtype):
    return _takes(x, W, W.shape[2:], stride, pad, groups) and tuple(outs) == x.shape[2:]


@convolve.when(gpu, _takes_convolution)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    return _plan(x.shape, x.strides, len(W), False, x.dtype, np.dtype(dtype))(x, W, b)


def _takes_deconvolution(y, W, b, stride, pad, dilate, groups, dims, dtype):
    return _takes(y, W, W.shape[2:], stride, pad, groups) and tuple(dims) == y.shape[2:]


@deconvolve.when(gpu, _takes_deconvolution)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    return _plan(y.shape, y.strides, W.shape[1], True, y.dtype, np.dtype(dtype))(y, W, b)


def _takes_filter_grad(x, gy, ksize, stride, pad, dilate, groups, dtype):
    return _takes(x, gy, ksize, stride, pad, groups) and x.shape[2:] == gy.shape[2:] and is_last(x)


@functools.lru_cache(4096)
def _filter_product(c, m, pixels, dtype, result):
    forms = Form(True, m, 0), Form(False, c, 0), Form(False, c, 0)
    return Product(dtype, result, *forms, 1, m, c, pixels)


@filter_grad.when(gpu, _takes_filter_grad)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    c, m = x.shape[1], gy.shape[1]
    result = dtype if dtype == np.float32 else x.dtype
    gW = cuda.cupy.ndarray((m, c, *ksize), result)
    _filter_product(c, m, x.size // c, x.dtype, gW.dtype)(dense(gy, True), dense(x, True), gW)
    return gW.astype(dtype, copy=False)
