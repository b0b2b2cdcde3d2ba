"""Convolution, its transpose and the gradient of the filter; see cpu.conv for what the arguments are.

All three take and give images that are channels last. Long sums are computed with the channels in blocks of 16:
oneDNN's code for channels last adds up all products of an element in one chain, which is four to eight times less
exact, and with so many products no faster.
"""

import weakref
from math import prod

import numpy as np

from chainlite.backends._layout import as_last, empty_last, roll
from chainlite.backends.cpu.conv import blocks, convolve, deconvolve, filter_grad
from chainlite.backends.cpu.product import product
from chainlite.backends.cpu.windows import col2im
from chainlite.backends.onednn._backend import can_multiply, onednn
from chainlite.backends.onednn._primitive import (
    BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    SRC,
    TRAINING,
    WEIGHTS,
    Descriptors,
    Operation,
    address,
    dims,
)
from chainlite.backends.onednn._threads import operation
from chainlite.configuration import config

_DIRECT = 1  # the algorithm: Winograd's rounds differently
_LONG = 2048  # products in a sum
_HEAVY, _FEW = 1 << 14, 1 << 10  # elements of a filter, pixels of the results
_THIN = {1: 6, 2: 16, 3: 32}  # channels of x: channels of y


class _Shapes:
    """A convolution as oneDNN describes it, from the shapes of the images and the window."""

    def __init__(self, make, x_shape, w_shape, y_shape, bias, stride, pad, dilate, groups):
        m, c, *ksize = w_shape
        self.x_shape, self.y_shape, self.bias = x_shape, y_shape, bias
        self.w_shape = w_shape if groups == 1 else (groups, m // groups, c, *ksize)
        self.make = make
        self.x, self.y, self.w = make.plain(x_shape, True), make.plain(y_shape, True), make.plain(self.w_shape)
        self.b = make.plain((m,)) if bias else None
        behind = _pad_behind(x_shape[2:], ksize, stride, pad, dilate, y_shape[2:])
        self.window = dims(stride), dims([d - 1 for d in dilate]), dims(pad), dims(behind)
        plain_sums = groups == 1 and prod(ksize) > 1 and make.is_float32
        self.few = c if plain_sums and c <= 32 else 0  # channels
        self.strided = prod(stride) > 1
        self.terms = (m, c, prod(ksize)) if plain_sums and m % 16 == c % 16 == 0 else (0, 0, 0)

    def _blocked(self):
        """The layouts of x and y with the channels in blocks."""
        return self.make.blocked(self.x_shape), self.make.blocked(self.y_shape)

    def _older(self, primitive, argument, given):
        """The primitive in oneDNN's older code for AVX-512, which with few channels is faster, up to twice.

        It is taken where oneDNN may choose the layout of the result; which has to be the one that we want.
        """
        chosen = primitive(self.make.any(self.x_shape if given is self.x else self.y_shape))
        return chosen if self.make.equal(self.make.wanted(chosen, argument), given) else primitive(given)

    def _forward(self, x, y):
        w = self.make.any(self.w_shape)
        return self.make.primitive('convolution_forward', TRAINING, _DIRECT, x, w, self.b, y, *self.window)

    def forward(self):
        _, c, k = self.terms
        if c * k >= _LONG:
            return self._forward(*self._blocked())
        if self.few % 16:
            return self._older(lambda y: self._forward(self.x, y), DST, self.y)
        return self._forward(self.x, self.y)

    def _backward_data(self, x, y):
        arguments = x, self.make.any(self.w_shape), y, *self.window, self._forward(x, y)
        return self.make.primitive('convolution_backward_data', _DIRECT, *arguments)

    def backward_data(self):
        m, _, k = self.terms
        if m * k >= _LONG or m and self.few and self.strided:
            return self._backward_data(*self._blocked())
        if self.few:
            return self._older(lambda x: self._backward_data(x, self.y), DIFF_SRC, self.x)
        return self._backward_data(self.x, self.y)

    def backward_weights(self):
        w = self.make.any(self.w_shape)
        arguments = self.x, w, None, self.y, *self.window, self._forward(self.x, self.y)
        return self.make.primitive('convolution_backward_weights', _DIRECT, *arguments)


def _pad_behind(sizes, ksize, stride, pad, dilate, outs):
    """What the last windows reach beyond the end; negative where they do not reach it."""
    return [
        (out - 1) * s + d * (k - 1) + 1 - p - size
        for size, k, s, p, d, out in zip(sizes, ksize, stride, pad, dilate, outs)
    ]


def _fits(sizes, ksize, stride, pad, dilate, outs):
    """Whether oneDNN has such a window: in up to three dimensions, and as many windows as there is space for."""
    return len(ksize) in (1, 2, 3) and all(
        [behind > -s for behind, s in zip(_pad_behind(sizes, ksize, stride, pad, dilate, outs), stride)]
    )


def _build_forward(dtype, x_shape, w_shape, y_shape, bias, *window):
    with Descriptors(dtype) as make:
        shapes = _Shapes(make, x_shape, w_shape, y_shape, bias, *window)
        arguments = [(SRC, shapes.x, False), (WEIGHTS, shapes.w, False)]
        if bias:
            arguments.append((BIAS, shapes.b, False))
        return Operation(make, shapes.forward(), *arguments, (DST, shapes.y, True))


@convolve.when(
    onednn,
    lambda x, W, b, stride, pad, dilate, groups, outs, dtype: (
        can_multiply(x, W) and dtype == x.dtype and _fits(x.shape[2:], W.shape[2:], stride, pad, dilate, outs)
    ),
)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    x = as_last(x)
    y = empty_last((len(x), len(W), *outs), dtype)
    run = operation(_build_forward, dtype, x.shape, W.shape, y.shape, b is not None, stride, pad, dilate, groups)
    W = np.ascontiguousarray(W)
    arrays = (x, W, y) if b is None else (x, W, np.ascontiguousarray(b, dtype), y)
    few = W.size >= _HEAVY and len(x) * prod(outs) <= _FEW and W.dtype == np.float32
    if few and not config.enable_backprop and (ready := _reordered(run, W)) is not None:
        run.at(*[address(a) for a in (x, ready, *arrays[2:])], ready=1)
    else:
        run(*arrays)
    return y


# Predictions for few images spend up to a third of their time on reordering filters, which are the same as in the
# prediction before. Whether they are can be seen in a quarter of the time. id of the filter: a weak reference to it, a
# copy of it, and by the id of each operation, the operation and the filter reordered for it. These are as many as
# images have sizes and programs have threads, of which only a few are kept.
_kept: dict[int, tuple] = {}
_MOST = 4


def _reordered(run, W):
    """The filter in the layout that the operation wants, or None if it wants it as it is."""
    key = id(W)
    entry = _kept.get(key)
    is_same = entry is not None and np.array_equal(entry[1], W.view(np.uint32))
    if is_same:
        found = entry[2].get(id(run))
        if found is not None:
            return found[1]
    ready = run.reordered(1, W)
    if ready is None:
        return None
    if not is_same:
        entry = weakref.ref(W, lambda _: _kept.pop(key, None)), W.view(np.uint32).copy(), {}
        _kept[key] = entry
    if len(entry[2]) >= _MOST:
        entry[2].clear()
    entry[2][id(run)] = run, ready
    return ready


def _build_backward_data(dtype, x_shape, w_shape, y_shape, *window):
    with Descriptors(dtype) as make:
        shapes = _Shapes(make, x_shape, w_shape, y_shape, False, *window)
        return Operation(
            make,
            shapes.backward_data(),
            (DIFF_DST, shapes.y, False),
            (WEIGHTS, shapes.w, False),
            (DIFF_SRC, shapes.x, True),
        )


@deconvolve.when(
    onednn,
    lambda y, W, b, stride, pad, dilate, groups, sizes, dtype: (
        can_multiply(y, W) and dtype == y.dtype and _fits(sizes, W.shape[2:], stride, pad, dilate, y.shape[2:])
    ),
)
def _(y, W, b, stride, pad, dilate, groups, sizes, dtype):
    y = as_last(y)
    if groups == 1 and dtype == np.float32 and len(W) >= _THIN.get(W.shape[1], len(W) + 1):
        x = _spread(y, W, stride, pad, dilate, sizes)
    else:
        x = empty_last((len(y), W.shape[1] * groups, *sizes), dtype)
        run = operation(_build_backward_data, dtype, x.shape, W.shape, y.shape, stride, pad, dilate, groups)
        run(y, np.ascontiguousarray(W), x)
    if b is not None:
        x += b.astype(dtype, copy=False).reshape(-1, *[1] * len(sizes))
    return x


def _spread(y, W, stride, pad, dilate, sizes):
    """Transposed convolution with few channels as a matrix product whose columns are added up: up to five times as
    fast as oneDNN's, which works on 16 channels or on none."""
    (n, m, *outs), (c, *ksize), ndim = y.shape, W.shape[1:], len(sizes)
    x, w = np.zeros((n, c, *sizes), y.dtype), W.reshape(m, -1).T
    images_first = (ndim + 1, *range(ndim + 1), *range(ndim + 2, 2 * ndim + 2))
    for part in blocks(n, w.shape[0] * prod(outs)):
        col = product(w, roll(y[part]).reshape(-1, m).T).reshape(c, *ksize, -1, *outs)
        col2im(col.transpose(images_first), stride, pad, dilate, x[part])
    return x


def _build_backward_weights(dtype, x_shape, w_shape, y_shape, *window):
    with Descriptors(dtype) as make:
        shapes = _Shapes(make, x_shape, w_shape, y_shape, False, *window)
        return Operation(
            make,
            shapes.backward_weights(),
            (SRC, shapes.x, False),
            (DIFF_DST, shapes.y, False),
            (DIFF_WEIGHTS, shapes.w, True),
        )


@filter_grad.when(
    onednn,
    lambda x, gy, ksize, stride, pad, dilate, groups, dtype: (
        can_multiply(x, gy) and dtype == x.dtype and _fits(x.shape[2:], ksize, stride, pad, dilate, gy.shape[2:])
    ),
)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    x, gy = as_last(x), as_last(gy)
    gW = np.empty((gy.shape[1], x.shape[1] // groups, *ksize), dtype)
    run = operation(_build_backward_weights, dtype, x.shape, gW.shape, gy.shape, stride, pad, dilate, groups)
    run(x, gy, gW)
    return gW
