"""Convolutions in any number of dimensions: the convolution itself, its transpose, and the gradient of the filter.

Shapes: images x (n, c, *dims), filters W (m, c / groups, *ksize), results y (n, m, *outs), bias b (m). The three
kernels compute in the wider dtype of their arguments, in at least 32 bits, and give back the dtype `dtype`.

The columns are the elements that the windows see, (n, c, *ksize, *outs); a convolution is their product with the
filters. NumPy makes columns of a few images at a time, as many as stay in the cache.
"""

from math import prod

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Backend, Kernel
from chainlite.backends._layout import from_last, is_last
from chainlite.backends.cpu import numpy_backend
from chainlite.backends.cpu.product import product
from chainlite.backends.cpu.windows import col2im, im2col, windows_view

BLOCK = 1 << 18  # elements of the columns that are made at a time: a megabyte of float32
FEW = 12000  # elements for which a call of NumPy costs more than the work that it does
_products = Backend('products', lambda kind: kind is np.ndarray, preference=2)


def compute_dtype(*arrays):
    """The dtype to compute in: the wider of the arrays', at least float32."""
    return np.result_type(*[a.dtype for a in arrays], np.float32)


def _split(a, groups, axis=0):
    """Splits the axis of the channels in two, and joins those after it."""
    shape = a.shape
    return a.reshape(*shape[:axis], groups, shape[axis] // groups, prod(shape[axis + 1 :]))


# ---- references -----------------------------------------------------------------------------------------------------


def _columns(x, ksize, stride, pad, dilate, groups, outs):
    """The columns of all images, (n, groups, c / groups * k, o)."""
    xp = backend.get_array_module(x)
    col = xp.zeros((*x.shape[:2], *ksize, *outs), x.dtype)
    im2col(x, ksize, stride, pad, dilate, outs, col)
    return col.reshape(len(x), groups, x.shape[1] // groups * prod(ksize), prod(outs))


@Kernel
def convolve(x, W, b, stride, pad, dilate, groups, outs, dtype):
    """Convolution: y (n, m, *outs) with y[:, m] = sum of the windows of x times W[m], plus b[m] unless b is None."""
    xp = backend.get_array_module(x)
    x, W = x.astype(compute_dtype(x, W)), W.astype(compute_dtype(x, W))
    col = _columns(x, W.shape[2:], stride, pad, dilate, groups, outs)
    y = xp.matmul(_split(W, groups).reshape(groups, len(W) // groups, -1), col).reshape(len(x), len(W), *outs)
    if b is not None:
        y += b.reshape(-1, *[1] * len(outs))
    return y.astype(dtype)


@Kernel
def convolve_later(x, W, b, stride, pad, dilate, groups, outs):
    """A function (numbers, h, rectify) that gives the convolution and what `normalize_then` does of it, where numbers
    and h may be None; or None where nothing is won by knowing what comes next. x must not change, W and b may.
    """
    return None


@Kernel
def deconvolve(y, W, b, stride, pad, dilate, groups, dims, dtype):
    """Transposed convolution: x (n, c, *dims), to which each y[:, m] adds itself times W[m], by windows; plus b[c]."""
    xp = backend.get_array_module(y)
    y, W = y.astype(compute_dtype(y, W)), W.astype(compute_dtype(y, W))
    w = W.reshape(groups, len(W) // groups, -1)
    col = xp.matmul(w.swapaxes(1, 2), _split(y, groups, 1))
    c = W.shape[1] * groups
    x = xp.zeros((len(y), c, *dims), y.dtype)
    col2im(col.reshape(len(y), c, *W.shape[2:], *y.shape[2:]), stride, pad, dilate, x)
    if b is not None:
        x += b.reshape(-1, *[1] * len(dims))
    return x.astype(dtype)


@Kernel
def filter_grad(x, gy, ksize, stride, pad, dilate, groups, dtype):
    """Gradient of the filter: W (m, c / groups, *ksize), the sum of gy times what the window sees."""
    xp = backend.get_array_module(x)
    x, gy = x.astype(compute_dtype(x, gy)), gy.astype(compute_dtype(x, gy))
    col = _columns(x, ksize, stride, pad, dilate, groups, gy.shape[2:])
    gW = xp.matmul(_split(gy, groups, 1), col.swapaxes(2, 3)).sum(0)
    return gW.reshape(gy.shape[1], x.shape[1] // groups, *ksize).astype(dtype)


# ---- NumPy, block by block ------------------------------------------------------------------------------------------


def blocks(n, size):
    """Slices of a few images each: those with about BLOCK elements, `size` for an image."""
    step = min(max(1, (BLOCK + size // 2) // max(size, 1)), n)
    return [slice(i, min(i + step, n)) for i in range(0, n, step)] if n else []


def _fill(col, x, ksize, stride, pad, dilate, outs):
    """Writes the columns of some images: offset by offset where that moves much at a time, else all at once."""
    if col.size >= FEW * prod(ksize) or min(pad) < 0:
        im2col(x, ksize, stride, pad, dilate, outs, col)
    else:
        col[...] = windows_view(x, ksize, stride, pad, dilate, outs)


def is_pointwise(ksize, stride, pad):
    """Whether each window is one pixel, and each pixel a window."""
    return all(k == 1 for k in ksize) and all(s == 1 for s in stride) and not any(pad)


def _correlate(x, W, b, y, stride, pad, dilate):
    """Convolution into y, for W (groups, m / groups, c / groups, *ksize)."""
    groups, outs, ksize = len(W), y.shape[2:], W.shape[3:]
    y = _split(y, groups, 1)
    w = W.reshape(*W.shape[:2], -1)
    b = None if b is None else b.reshape(groups, -1, 1)
    if is_pointwise(ksize, stride, pad):
        np.matmul(w, _split(x, groups, 1), out=y)
        if b is not None:
            y += b
        return
    size = x.shape[1] * prod(ksize) * prod(outs)
    col = None
    for part in blocks(len(x), size):
        image = x[part]
        if col is None or len(col) > len(image):  # the padding keeps its zeros from block to block
            col = np.zeros((*image.shape[:2], *ksize, *outs), y.dtype)
        _fill(col, image, ksize, stride, pad, dilate, outs)
        out = y[part]
        np.matmul(w, col.reshape(len(image), groups, -1, out.shape[-1]), out=out)
        if b is not None:
            out += b


@convolve.when(numpy_backend)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    y = np.empty((len(x), len(W), *outs), compute_dtype(x, W))
    W = W.astype(y.dtype, copy=False).reshape(groups, len(W) // groups, *W.shape[1:])
    _correlate(x.astype(y.dtype, copy=False), W, b, y, stride, pad, dilate)
    return y.astype(dtype, copy=False)


@deconvolve.when(numpy_backend)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    n, m, *outs = y.shape
    ksize, c = W.shape[2:], W.shape[1] * groups
    wide = compute_dtype(y, W)
    y, W = y.astype(wide, copy=False), W.astype(wide, copy=False).reshape(groups, len(W) // groups, *W.shape[1:])
    if all(s == 1 for s in stride) and 2 * m * prod(dims) <= 3 * c * prod(outs):
        # as the convolution with the filter turned around: for each element there are as many windows that it is in
        flipped = W[(..., *[slice(None, None, -1)] * len(ksize))].swapaxes(1, 2)
        x = np.empty((n, c, *dims), wide)
        _correlate(y, flipped, b, x, stride, tuple([d * (k - 1) - p for d, k, p in zip(dilate, ksize, pad)]), dilate)
        return x.astype(dtype, copy=False)
    w = W.reshape(groups, m // groups, -1).swapaxes(1, 2)
    y = _split(y, groups, 1)
    if is_pointwise(ksize, stride, pad):
        x = np.matmul(w, y).reshape(n, c, *dims)
    else:
        x = np.zeros((n, c, *dims), wide)
        for part in blocks(n, c * prod(ksize) * prod(outs)):
            col = np.matmul(w, y[part])
            col2im(col.reshape(len(col), c, *ksize, *outs), stride, pad, dilate, x[part])
    if b is not None:
        x += b.reshape(-1, *[1] * len(dims))
    return x.astype(dtype, copy=False)


@filter_grad.when(numpy_backend)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    n, c = x.shape[:2]
    m, outs = gy.shape[1], gy.shape[2:]
    wide = compute_dtype(x, gy)
    x, gy = x.astype(wide, copy=False), gy.astype(wide, copy=False)
    gW = np.zeros((groups, m // groups, c // groups * prod(ksize)), wide)
    spatial, small = (
        len(ksize),
        gW.size <= prod(outs),
    )  # small: so many products that matrices of one image are long enough
    images_first = (spatial + 1, *range(spatial + 1), *range(spatial + 2, 2 * spatial + 2))
    last = 0
    for part in blocks(n, c * prod(ksize) * prod(outs)):
        image, g = x[part], gy[part].reshape(-1, m, prod(outs))
        if last != len(image):  # the padding keeps its zeros from block to block
            last = len(image)
            col = np.zeros((last, c, *ksize, *outs) if small else (c, *ksize, last, *outs), wide)
            view = col if small else col.transpose(images_first)
        _fill(view, image, ksize, stride, pad, dilate, outs)
        if small:
            gW += np.matmul(
                g.reshape(last, groups, m // groups, -1), col.reshape(last, groups, -1, prod(outs)).swapaxes(2, 3)
            ).sum(axis=0)
        else:
            g = g.swapaxes(0, 1).reshape(groups, m // groups, -1)
            gW += np.matmul(g, col.reshape(groups, -1, g.shape[2]).swapaxes(1, 2))
    return gW.reshape(m, c // groups, *ksize).astype(dtype, copy=False)


# ---- single matrix products, where they are the fastest way ---------------------------------------------------------


def _is_single(sizes, ksize, outs, pad, groups):
    """Whether there is one window and it is the image, so that the function is a linear map of the image."""
    return sizes == ksize and prod(outs) == groups == 1 and not any(pad)


def _flat(a):
    """(n, all other axes as one)."""
    return (from_last(a) if is_last(a) else a).reshape(len(a), prod(a.shape[1:]))


@convolve.when(
    _products,
    lambda x, W, b, stride, pad, dilate, groups, outs, dtype: _is_single(x.shape[2:], W.shape[2:], outs, pad, groups),
)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    y = product(_flat(x), _flat(W).T)
    if b is not None:
        y += b
    return y.reshape(len(x), len(W), *outs).astype(dtype, copy=False)


@convolve_later.when(
    _products,
    lambda x, W, b, stride, pad, dilate, groups, outs: _is_single(x.shape[2:], W.shape[2:], outs, pad, groups),
)
def _(x, W, b, stride, pad, dilate, groups, outs):
    return None


@filter_grad.when(
    _products,
    lambda x, gy, ksize, stride, pad, dilate, groups, dtype: _is_single(x.shape[2:], ksize, gy.shape[2:], pad, groups),
)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    return product(_flat(gy).T, _flat(x)).reshape(gy.shape[1], *x.shape[1:]).astype(dtype, copy=False)


@deconvolve.when(
    _products,
    lambda y, W, b, stride, pad, dilate, groups, dims, dtype: _is_single(dims, W.shape[2:], y.shape[2:], pad, groups),
)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    x = product(_flat(y), _flat(W)).reshape(len(y), *W.shape[1:])
    if b is not None:
        x += b.reshape(-1, *[1] * len(dims))
    return x.astype(dtype, copy=False)
