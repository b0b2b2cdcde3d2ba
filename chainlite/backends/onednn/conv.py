"""Convolution, its transpose and the gradient of the filter; see cpu.conv for what the arguments are.

All three take and give images that are channels last. Long sums are computed with the channels in blocks of 16:
oneDNN's code for channels last adds up all products of an element in one chain, which is four to eight times less
exact, and with so many products no faster.

In one thread, gradients of filters are one product of matrices where windows are single pixels, and are added up from a
few rows of an image at a time, which stay in the cache, where images are large. Several threads have other caches.

A prediction's convolution can wait for what comes next, which oneDNN then does to every result while it has it: a
normalization, and the addition of another array.
"""

import functools
import math

import numpy as np

from chainlite.backends._layout import as_last, empty_last, roll
from chainlite.backends.cpu.batch_normalization import normalize_then
from chainlite.backends.cpu.conv import blocks, convolve, convolve_later, deconvolve, filter_grad, is_pointwise
from chainlite.backends.cpu.product import product
from chainlite.backends.cpu.relu import rectify_in_place
from chainlite.backends.cpu.windows import col2im
from chainlite.backends.onednn._backend import can_multiply, is_float32, onednn
from chainlite.backends.onednn._filters import kept, run_filtered
from chainlite.backends.onednn._primitive import (
    BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    OPERANDS,
    SRC,
    TRAINING,
    WEIGHTS,
    Descriptors,
    Operation,
    Primitive,
    address,
    dims,
)
from chainlite.backends.onednn._threads import get_num_threads, operation

_DIRECT = 1  # the algorithm: Winograd's rounds differently
_ADD, _MULTIPLY = 0x1FFF0, 0x1FFF1  # algorithms of operations on the result
_LONG = 2048  # products in a sum
_BLOCK = 16  # channels that are computed at a time
# By rows: bytes of an image and its result, and channels of that, from which on this pays; bytes and pixels of rows.
_LARGE, _MANY, _ROWS, _PIXELS = 3 << 19, 32, 1 << 19, 512
_WIDE, _FEW = 64, 1 << 10  # channels for which a product is faster, pixels for which it is in several threads, too
_THIN = {1: 6, 2: 16, 3: 32}  # channels of x: channels of y for each thread
_NOTHING = False, False  # follows


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
        plain_sums = groups == 1 and math.prod(ksize) > 1 and make.is_float32
        self.few = c if plain_sums and c <= 32 else 0  # channels
        self.strided = math.prod(stride) > 1
        self.terms = (m, c, math.prod(ksize)) if plain_sums and m % 16 == c % 16 == 0 else (0, 0, 0)
        self.is_long = self.terms[1] * self.terms[2] >= _LONG

    def _blocked(self):
        """The layouts of x and y with the channels in blocks."""
        return self.make.blocked(self.x_shape), self.make.blocked(self.y_shape)

    def _older(self, primitive, argument, given):
        """The primitive in oneDNN's older code for AVX-512, which with few channels is faster, up to twice.

        It is taken where oneDNN may choose the layout of the result; which has to be the one that we want.
        """
        chosen = primitive(self.make.any(self.x_shape if given is self.x else self.y_shape))
        return chosen if self.make.equal(self.make.wanted(chosen, argument), given) else primitive(given)

    def _forward(self, x, y, attributes=None):
        arguments = TRAINING, _DIRECT, x, self.make.any(self.w_shape), self.b, y, *self.window
        return self.make.primitive('convolution_forward', *arguments, attributes=attributes)

    def forward(self, attributes=None):
        if self.is_long:
            return self._forward(*self._blocked(), attributes)
        if self.few % 16:
            return self._older(lambda y: self._forward(self.x, y, attributes), DST, self.y)
        return self._forward(self.x, self.y, attributes)

    def forward_then(self, normalized, added):
        """The primitive with what follows, or None where oneDNN has other code for that, which may be slower; and the
        list of the arguments that it takes besides."""
        keys = self.make.plain((1, self.y_shape[1], *[1] * (len(self.y_shape) - 2)))
        h = self._blocked()[1] if self.is_long else self.y
        rows = [('binary', _MULTIPLY, keys), ('binary', _ADD, keys)] * normalized + [('binary', _ADD, h)] * added
        plain, primitive = self.forward(), self.forward(self.make.attributes(rows))
        if self.make.implementation(plain) != self.make.implementation(primitive):
            return None, []
        given = [keys, keys] * normalized + [self.y] * added
        return primitive, [(place, memory, False) for place, memory in zip(OPERANDS, given)]

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

    def backward_weights(self, w=None):
        w = w or self.make.any(self.w_shape)
        arguments = self.x, w, None, self.y, *self.window, self._forward(self.x, self.y)
        return self.make.primitive('convolution_backward_weights', _DIRECT, *arguments)


def _pad_behind(sizes, ksize, stride, pad, dilate, outs):
    """What the last windows reach beyond the end; negative where they do not reach it."""
    return [
        (out - 1) * s + d * (k - 1) + 1 - p - size
        for size, k, s, p, d, out in zip(sizes, ksize, stride, pad, dilate, outs)
    ]


@functools.lru_cache(1024)
def _fits(sizes, ksize, stride, pad, dilate, outs):
    """Whether oneDNN has such a window: in up to three dimensions, and as many windows as there is space for."""
    return len(ksize) in (1, 2, 3) and all(
        [behind > -s for behind, s in zip(_pad_behind(sizes, ksize, stride, pad, dilate, outs), stride)]
    )


def _build_forward(dtype, x_shape, w_shape, y_shape, bias, stride, pad, dilate, groups, *what_follows):
    with Descriptors(dtype) as make:
        shapes = _Shapes(make, x_shape, w_shape, y_shape, bias, stride, pad, dilate, groups)
        primitive, more = shapes.forward_then(*what_follows) if any(what_follows) else (shapes.forward(), [])
        if primitive is None:
            return None
        arguments = [(SRC, shapes.x, False), (WEIGHTS, shapes.w, False)]
        if bias:
            arguments.append((BIAS, shapes.b, False))
        return Operation(make, primitive, *arguments, *more, (DST, shapes.y, True))


@convolve.when(
    onednn,
    lambda x, W, b, stride, pad, dilate, groups, outs, dtype: (
        can_multiply(x, W) and dtype == x.dtype and _fits(x.shape[2:], W.shape[2:], stride, pad, dilate, outs)
    ),
)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    W = np.ascontiguousarray(W)
    b = None if b is None else np.ascontiguousarray(b, dtype)
    filter = kept(W, len(x) * math.prod(outs))
    return _convolve(as_last(x), W, filter, b, (stride, pad, dilate, groups), outs, _NOTHING, ())


def _convolve(x, W, filter, b, window, outs, what_follows, others):
    """The convolution and what follows, for which there are other arrays; None if oneDNN does not do that well."""
    y = empty_last((len(x), len(W), *outs), x.dtype)
    run = operation(_build_forward, x.dtype, x.shape, W.shape, y.shape, b is not None, *window, *what_follows)
    if run is None:
        return None
    run_filtered(run, filter, x, W, *(others if b is None else (b, *others)), y)
    return y


class _Later:
    """A convolution as `convolve_later` gives it."""

    def __init__(self, x, W, b, window, outs):
        self.x, self.b, self.window, self.outs = x, None if b is None else b.copy(), window, outs
        self.filter = kept(W, len(x) * math.prod(outs))
        self.W = W.copy() if self.filter is None else self.filter.array

    def __call__(self, numbers, h, rectify):
        b, others, what_follows = self.b, (), (numbers is not None, h is not None)
        if numbers is not None:
            b = -numbers[3] if b is None else b - numbers[3]
            others = numbers[4], numbers[5]
        if h is not None:
            others += (as_last(h),)
        y = self._convolve(b, what_follows, others)
        if y is None:
            return self._one_after_the_other(numbers, h, rectify)
        return rectify_in_place(y) if rectify else y  # oneDNN's rectifier would turn NaN into 0

    def _one_after_the_other(self, numbers, h, rectify):
        y = self._convolve(self.b, _NOTHING, ())
        if numbers is not None:
            return normalize_then(y, numbers, (0, *range(2, y.ndim)), h, rectify, False, False)[0]
        y += h
        return rectify_in_place(y) if rectify else y

    def _convolve(self, b, what_follows, others):
        return _convolve(self.x, self.W, self.filter, b, self.window, self.outs, what_follows, others)


@convolve_later.when(
    onednn,
    lambda x, W, b, stride, pad, dilate, groups, outs: (
        is_float32(x, W)
        and (b is None or b.dtype == x.dtype)
        and _fits(x.shape[2:], W.shape[2:], stride, pad, dilate, outs)
    ),
)
def _(x, W, b, stride, pad, dilate, groups, outs):
    return _Later(as_last(x), np.ascontiguousarray(W), b, (stride, pad, dilate, groups), outs)


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
    if groups == 1 and dtype == np.float32 and len(W) >= get_num_threads() * _THIN.get(W.shape[1], len(W) + 1):
        x = _spread(y, W, stride, pad, dilate, sizes)
    else:
        x = empty_last((len(y), W.shape[1] * groups, *sizes), dtype)
        run = operation(_build_backward_data, dtype, x.shape, W.shape, y.shape, stride, pad, dilate, groups)
        W = np.ascontiguousarray(W)
        run_filtered(run, kept(W, len(y) * math.prod(sizes)), y, W, x)
    if b is not None:
        x += b.astype(dtype, copy=False).reshape(-1, *[1] * len(sizes))
    return x


def _spread(y, W, stride, pad, dilate, sizes):
    """Transposed convolution with few channels as a matrix product whose columns are added up: up to five times as
    fast as oneDNN's, which works on 16 channels or on none. They are added in one thread."""
    (n, m, *outs), (c, *ksize), ndim = y.shape, W.shape[1:], len(sizes)
    x, w = np.zeros((n, c, *sizes), y.dtype), W.reshape(m, -1).T
    images_first = (ndim + 1, *range(ndim + 1), *range(ndim + 2, 2 * ndim + 2))
    for part in blocks(n, w.shape[0] * math.prod(outs)):
        col = product(w, roll(y[part]).reshape(-1, m).T).reshape(c, *ksize, -1, *outs)
        col2im(col.transpose(images_first), stride, pad, dilate, x[part])
    return x


def _build_backward_weights(dtype, x_shape, w_shape, y_shape, *window):
    with Descriptors(dtype) as make:
        rows = _rows(x_shape, y_shape) if get_num_threads() == 1 and make.is_float32 else y_shape[2]
        if rows < y_shape[2]:
            return _ByRows(make, rows, x_shape, w_shape, y_shape, *window)
        shapes = _Shapes(make, x_shape, w_shape, y_shape, False, *window)
        return Operation(
            make,
            shapes.backward_weights(),
            (SRC, shapes.x, False),
            (DIFF_DST, shapes.y, False),
            (DIFF_WEIGHTS, shapes.w, True),
        )


def _rows(x_shape, y_shape):
    """How many rows of the results are worth to be taken at a time."""
    (_, m, height, *across), size = y_shape, 4 * (math.prod(x_shape[1:]) + math.prod(y_shape[1:]))
    rows = max(1, _ROWS * height // size, -(-_PIXELS // math.prod(across)))
    return rows if size >= _LARGE and 2 * rows <= height and m >= _MANY else height


class _ByRows:
    """The gradient of the filter, added up from a few rows at a time."""

    def __init__(self, make, rows, x_shape, w_shape, y_shape, stride, pad, dilate, groups):
        (n, c, height, *width), (_, m, outs, *across) = x_shape, y_shape
        made, wanted, self._places = {}, None, []
        for first in range(0, outs, rows):
            count = min(rows, outs - first)
            begin = first * stride[0] - pad[0]
            end = begin + stride[0] * (count - 1) + dilate[0] * (w_shape[2] - 1) + 1
            low = max(begin, 0)
            key = min(end, height) - low, count, low - begin
            if key[0] <= 0:  # these windows see nothing but padding
                continue
            if key not in made:
                x_part, y_part = (1, c, key[0], *width), (1, m, count, *across)
                shapes = _Shapes(make, x_part, w_shape, y_part, False, stride, (key[2], *pad[1:]), dilate, groups)
                primitive = shapes.backward_weights(wanted)
                wanted = wanted or make.wanted(primitive, DIFF_WEIGHTS)
                made[key] = Primitive(primitive, [(SRC, shapes.x), (DIFF_DST, shapes.y), (DIFF_WEIGHTS, wanted)])
            self._places.append((made[key], 4 * c * low * math.prod(width), 4 * m * first * math.prod(across)))
        self._n, self._steps = n, (4 * math.prod(x_shape[1:]), 4 * math.prod(y_shape[1:]))
        self._size = make.size(wanted) // 4
        self._reorder = Primitive(make.reorder(wanted, shapes.w), [(SRC, wanted), (DST, shapes.w)])

    def __call__(self, x, gy, gW):
        total, part = np.zeros(self._size, np.float32), np.empty(self._size, np.float32)
        for i in range(self._n):
            x_image, y_image = [address(a) + i * step for a, step in zip((x, gy), self._steps)]
            for primitive, x_place, y_place in self._places:
                primitive(x_image + x_place, y_image + y_place, address(part))
                total += part
        self._reorder(address(total), address(gW))


def _is_product(x, gy, ksize, stride, pad, groups):
    """Whether the gradient of the filter is best computed as one product."""
    return (
        is_pointwise(ksize, stride, pad)
        and groups == 1
        and x.dtype == np.float32
        and max(x.shape[1], gy.shape[1]) >= _WIDE
        and (get_num_threads() == 1 or gy.size <= _FEW * gy.shape[1])
    )


@filter_grad.when(
    onednn,
    lambda x, gy, ksize, stride, pad, dilate, groups, dtype: (
        can_multiply(x, gy) and dtype == x.dtype and _fits(x.shape[2:], ksize, stride, pad, dilate, gy.shape[2:])
    ),
)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    if x.shape[1] < _BLOCK and groups == math.prod(ksize) == 1:
        # Where such windows are apart, oneDNN's code for few channels writes beyond its workspace, in several threads.
        seen = x[(..., *[slice(None, None, s) for s in stride])]
        if seen.shape[2:] == gy.shape[2:] and not any(pad):
            x, stride = seen, (1,) * len(stride)
    x, gy = as_last(x), as_last(gy)
    shape = gy.shape[1], x.shape[1] // groups, *ksize
    if _is_product(x, gy, ksize, stride, pad, groups):
        return product(roll(gy).reshape(-1, shape[0]).T, roll(x).reshape(-1, shape[1])).reshape(shape)
    gW = np.empty(shape, dtype)
    run = operation(_build_backward_weights, dtype, x.shape, shape, gy.shape, stride, pad, dilate, groups)
    run(x, gy, gW)
    return gW
