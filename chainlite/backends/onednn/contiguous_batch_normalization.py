"""Batch normalization of C-contiguous arrays (n, c, *dims) as they are; see cpu.batch_normalization.

oneDNN's own primitive is slow in this layout, and to convert an array takes as long as to normalize it. But there are
fast ones for the parts: sums, and chains of arithmetic with a number per channel. They go over the array block by
block, so that each finds in the cache what the one before has read or written.
"""

from ctypes import c_float
from math import prod

import numpy as np

from chainlite.backends._layout import from_last, is_last
from chainlite.backends.cpu.batch_normalization import (
    batch_normalize,
    moments,
    normalize,
    normalize_grad,
    normalize_then,
    rectified_normalize_grad,
)
from chainlite.backends.cpu.relu import rectify_in_place
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import DST, OPERANDS, RESULT, SRC, SRC_0, SRC_1, Descriptors, Operation
from chainlite.backends.onednn._threads import get_num_threads, operation
from chainlite.backends.onednn.relu import mask

_ADD, _MUL, _SUB, _SQUARE, _SUM = 0x1FFF0, 0x1FFF1, 0x1FFF5, 0x23, 0x2FFF4  # algorithms
BLOCK = 1 << 19  # elements, for each thread
LONG = 1 << 7  # pixels, from which those of a channel are a row worth a call
_FEW = 1 << 3  # images
_EXACT = 1 << 10  # numbers that are added up in float32, one after the other, or sixteen at a time


def is_taken(x, axis):
    """Whether these kernels take an array."""
    if not (2 < x.ndim <= 5 and axis == (0, *range(2, x.ndim)) and x.flags.c_contiguous):
        return False
    pixels = prod(x.shape[2:])
    return pixels >= LONG or pixels > 1 and len(x) >= _FEW


def _contiguous(a):
    return from_last(a) if is_last(a) else np.ascontiguousarray(a)


# -- primitives -------------------------------------------------------------------------------------------------------
def _build_sums(rows, length):
    with Descriptors() as make:
        x, sums = make.plain((rows, length)), make.plain((rows, 1))
        primitive = make.primitive('reduction', _SUM, x, sums, c_float(0), c_float(0))
        return Operation(make, primitive, (SRC, x, False), (DST, sums, True))


_SCALED = ((_MUL, True),)
_SQUARES = (_SUB, True), (_SQUARE, None)
_PRODUCT = (_SUB, True), (_MUL, False)
_AFFINE = (_SUB, True), (_MUL, True), (_ADD, True)  # (x - mean) * scale + offset
_AFFINE_PLUS = *_AFFINE, (_ADD, False)
_GRADIENT = *_AFFINE_PLUS, (_MUL, True)


def _build_chain(shape, *steps):
    """Steps from each value to the next: pairs of an algorithm and what the other operand is: a number per channel
    (True), as for the first step, an array, or nothing (None). The arguments are what it begins with, the first
    operand, the result, the other operands."""
    with Descriptors() as make:
        x, numbers = make.plain(shape), make.plain((1, shape[1], *[1] * len(shape[2:])))
        after, arguments = [], [(SRC_0, x, False), (SRC_1, numbers, False), (RESULT, x, True)]
        for place, (algorithm, by_channel) in zip(OPERANDS, steps[1:]):
            if by_channel is None:
                after.append(('eltwise', algorithm, c_float(0), c_float(0)))
            else:
                operand = numbers if by_channel else x
                after.append(('binary', algorithm, operand))
                arguments.append((place, operand, False))
        primitive = make.primitive('binary', steps[0][0], x, numbers, x, attributes=make.attributes(after))
        return Operation(make, primitive, *arguments)


def _chain(steps, shape, x, first, y, *others):
    operation(_build_chain, shape, *steps)(x, first, y, *others)


# -- blocks -----------------------------------------------------------------------------------------------------------
class _Blocks:
    """Parts of an array, which are several images, or several channels of one.

    Iterating gives triples: the slice of the flattened array, the slice of the channels, and the shape (images,
    channels, pixels). Of small images each pixel is a channel by itself, and the shape is (images, channels).
    """

    def __init__(self, x):
        self.n, self.c, pixels = len(x), x.shape[1], prod(x.shape[2:])
        self.count = self.n * pixels
        self.repeat, self.row = (1, (pixels,)) if pixels >= LONG else (pixels, ())
        self.size = BLOCK * get_num_threads()

    def __iter__(self):
        row, c = prod(self.row), self.c * self.repeat
        images, channels = max(1, min(_EXACT, self.size // (c * row))), max(1, self.size // row)
        for i in range(0, self.n, images):
            for j in range(0, c, channels):
                shape = min(images, self.n - i), min(channels, c - j), *self.row
                start = (i * c + j) * row
                yield slice(start, start + prod(shape)), slice(j, j + shape[1]), shape

    def scratch(self):
        return np.empty(max(self.size, *self.row, 0), np.float32)

    def spread(self, *numbers):
        """Numbers per channel as the primitives take them."""
        return [np.asarray(a, np.float32).repeat(self.repeat) for a in numbers]

    def zeros(self, n):
        """n arrays to add `sums` to."""
        return np.zeros((n, self.c * self.repeat))

    def total(self, sums):
        """What was added up, per channel."""
        return sums.reshape(self.c, self.repeat).sum(axis=1)


def _sums(a, shape):
    """The sums over images and pixels of the first elements of a flat array, in float64."""
    images, channels, *row = shape
    if not row:
        return np.ones(images, np.float32) @ a[: prod(shape)].reshape(shape)
    parts = 1
    while row[0] % (2 * parts) == 0 and row[0] > parts * _EXACT:
        parts *= 2
    sums = np.empty((images, channels, parts), np.float32)
    operation(_build_sums, sums.size, row[0] // parts)(a, sums)
    return sums.sum(axis=(0, 2), dtype=np.float64)


# -- kernels ----------------------------------------------------------------------------------------------------------
@moments.when(onednn, lambda x, axis: is_float32(x) and is_taken(x, axis))
def _(x, axis):
    blocks = _Blocks(x)
    x, d, parts, (sums, squares) = x.reshape(-1), blocks.scratch(), list(blocks), blocks.zeros(2)
    for part, keys, shape in parts:
        sums[keys] += _sums(x[part], shape)
    mean = blocks.total(sums) / blocks.count
    (means,) = blocks.spread(mean)
    for part, keys, shape in reversed(parts):  # what was read last is still in the cache
        _chain(_SQUARES, shape, x[part], means[keys], d)
        squares[keys] += _sums(d, shape)
    return mean.astype(np.float32), (blocks.total(squares) / blocks.count).astype(np.float32)


def _affine(x, mean, scale, offset, h=None, rectify=False):
    """(x - mean) * scale + offset, plus h, rectified."""
    y, blocks = np.empty_like(x), _Blocks(x)
    mean, scale, offset = blocks.spread(mean, scale, offset)
    x, out, h = x.reshape(-1), y.reshape(-1), None if h is None else h.reshape(-1)
    for part, keys, shape in blocks:
        numbers = mean[keys], out[part], scale[keys], offset[keys]
        if h is None:
            _chain(_AFFINE, shape, x[part], *numbers)
        else:
            _chain(_AFFINE_PLUS, shape, x[part], *numbers, h[part])
        if rectify:
            rectify_in_place(out[part])  # oneDNN's rectifier would turn NaN into 0
    return y


@batch_normalize.when(onednn, lambda x, gamma, beta, axis, eps: is_float32(x, gamma, beta) and is_taken(x, axis))
def _(x, gamma, beta, axis, eps):
    mean, var = moments(x, axis)
    return _affine(x, mean, gamma * (var + np.float32(eps)) ** -0.5, beta), mean, var


@normalize.when(
    onednn,
    lambda x, gamma, beta, mean, inv_std, axis: is_float32(x, gamma, beta, mean, inv_std) and is_taken(x, axis),
)
def _(x, gamma, beta, mean, inv_std, axis):
    return _affine(x, mean, gamma * inv_std, beta)


@normalize_then.when(
    onednn,
    lambda x, numbers, axis, h, *_: is_float32(x, numbers) and (h is None or is_float32(h)) and is_taken(x, axis),
)
def _(x, numbers, axis, h, rectify, of_batch, keep):
    return _affine(x, *numbers[3:], None if h is None else _contiguous(h), rectify), None


@normalize_grad.when(
    onednn,
    lambda gy, x, gamma, mean, inv_std, axis, fixed: is_float32(gy, x, gamma, mean, inv_std) and is_taken(x, axis),
)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    return _gradients(_contiguous(gy), x, gamma, mean, inv_std, fixed)


@rectified_normalize_grad.when(
    onednn,
    lambda gy, y, kept, x, gamma, numbers, axis, fixed, with_masked: (
        kept is None and is_float32(gy, y, x, gamma, numbers) and is_taken(x, axis)
    ),
)
def _(gy, y, kept, x, gamma, numbers, axis, fixed, with_masked):
    mean, _, inv_std, *_ = numbers
    masked = np.empty_like(x) if with_masked else None
    return *_gradients(_contiguous(gy), x, gamma, mean, inv_std, fixed, _contiguous(y), masked), masked


def _gradients(gy, x, gamma, mean, inv_std, fixed, y=None, masked=None):
    """`normalize_grad` of gy, or of gy where y > 0, which is written to `masked` if that is given."""
    gx, blocks = np.empty_like(x), _Blocks(x)
    parts, product, (sums, products) = list(blocks), blocks.scratch(), blocks.zeros(2)
    means, scale = blocks.spread(mean, gamma * inv_std)
    given, x, out = gy.reshape(-1), x.reshape(-1), gx.reshape(-1)
    gy = given if y is None else out if masked is None else masked.reshape(-1)
    for part, keys, shape in parts:
        if y is not None:
            mask(y.reshape(-1)[part], given[part], gy[part])
        _chain(_PRODUCT, shape, x[part], means[keys], product, gy[part])
        sums[keys] += _sums(gy[part], shape)
        products[keys] += _sums(product, shape)
        if fixed:
            _chain(_SCALED, shape, gy[part], scale[keys], out[part])
    gbeta, ggamma = blocks.total(sums), blocks.total(products) * inv_std
    if not fixed:
        slope, offset = blocks.spread(-ggamma * inv_std / blocks.count, -gbeta / blocks.count)
        for part, keys, shape in reversed(parts):
            numbers = means[keys], out[part], slope[keys], offset[keys], gy[part], scale[keys]
            _chain(_GRADIENT, shape, x[part], *numbers)
    return gx, ggamma.astype(np.float32), gbeta.astype(np.float32)
