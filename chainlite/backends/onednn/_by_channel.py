"""Sums over the elements of each channel of an array (n, c, *dims), and arithmetic with a number for each channel.

Both go over the array block by block, so that each finds in the cache what the one before has read or written.
"""

from ctypes import c_float
from math import prod

import numpy as np

from chainlite.backends.onednn import _library
from chainlite.backends.onednn._primitive import (
    DST,
    OPERANDS,
    RESULT,
    SRC,
    SRC_0,
    SRC_1,
    Descriptors,
    Operation,
    address,
)
from chainlite.backends.onednn._threads import get_num_threads, operation, prepare

ADD, MUL, SUB, SQUARE, _SUM = 0x1FFF0, 0x1FFF1, 0x1FFF5, 0x23, 0x2FFF4  # algorithms
BLOCK = 1 << 19  # elements, for each thread
LONG = 1 << 7  # pixels, from which those of a channel are a row worth working on
_WIDTH = 1 << 10  # elements of a row of pixels that are channels last
_EXACT = 1 << 10  # numbers that are added up in float32, one after the other, or sixteen at a time


class Blocks:
    """Parts of an array, C-contiguous or channels last, in the order in which they lie in memory.

    Iterating gives triples: the slice of the elements, the slice of the numbers per channel, and the shape, (images,
    channels, pixels). Rows of few pixels would take long: of small images each pixel of a channel is a channel by
    itself, in the shape (images, channels), and where the channels come last those of several pixels are.
    """

    def __init__(self, x):
        self.n, self.c, pixels = len(x), x.shape[1], prod(x.shape[2:])
        self.count = self.n * pixels
        self.row, self.repeated, self.tiled = (), 1, 1
        if not x.flags.c_contiguous or pixels == 1:
            self.tiled = max(1, min(_WIDTH // self.c, self.count))
            self.n = self.count // self.tiled
        elif pixels < LONG:
            self.repeated = pixels
        else:
            self.row = (pixels,)
        self.width = self.c * self.repeated * self.tiled
        self.size = BLOCK * get_num_threads()

    def __iter__(self):
        row, size = prod(self.row), self.count * self.c
        images, channels = max(1, min(_EXACT, self.size // (self.width * row))), max(1, self.size // row)
        start = 0
        for i in range(0, self.n, images):
            for j in range(0, self.width, channels):
                shape = min(images, self.n - i), min(channels, self.width - j), *self.row
                stop = start + prod(shape)
                yield slice(start, stop), slice(j, j + shape[1]), shape
                start = stop
        if start < size:
            yield slice(start, size), slice(0, size - start), (1, size - start)

    def scratch(self):
        """A flat array for any one part."""
        return np.empty(max(self.size, self.width, *self.row, 0), np.float32)

    def spread(self, *numbers):
        """Numbers per channel as `chain` takes them."""
        spread = np.empty((len(numbers), self.tiled, self.c, self.repeated), np.float32)
        for place, a in zip(spread, numbers):
            place[...] = a[:, None]
        return spread.reshape(len(numbers), self.width)

    def zeros(self, n):
        """n arrays to add `sums` to."""
        return np.zeros((n, self.width))

    def total(self, sums):
        """What was added up, per channel."""
        return sums.reshape(self.tiled, self.c, self.repeated).sum(axis=(0, 2))


# -- arithmetic -------------------------------------------------------------------------------------------------------
AFFINE = (SUB, True), (MUL, True), (ADD, True)  # (x - mean) * scale + offset


def _build_chain(shape, *steps):
    with Descriptors() as make:
        x, numbers = make.plain(shape), make.plain((1, shape[1], *[1] * len(shape[2:])))
        first = numbers if steps[0][1] else x
        after, arguments = [], [(SRC_0, x, False), (SRC_1, first, False), (RESULT, x, True)]
        for place, (algorithm, by_channel) in zip(OPERANDS, steps[1:]):
            if by_channel is None:
                after.append(('eltwise', algorithm, c_float(0), c_float(0)))
            else:
                operand = numbers if by_channel else x
                after.append(('binary', algorithm, operand))
                arguments.append((place, operand, False))
        primitive = make.primitive('binary', steps[0][0], x, first, x, attributes=make.attributes(after))
        return Operation(make, primitive, *arguments)


def chain(steps, shape, x, first, y, *others):
    """Computes a value from x in steps, and writes it to y.

    Args:
        steps: pairs of an algorithm and what its other operand is: a number per channel (True), as for the first step,
            an array (False), or nothing (None).
        shape: that of a part.
        x, y: flat arrays that begin with it.
        first, others: the operands.
    """
    operation(_build_chain, shape, *steps)(x, first, y, *others)


# -- sums -------------------------------------------------------------------------------------------------------------
_ONES = np.ones(_EXACT, np.float32)


def _build_sums(rows, length):
    with Descriptors() as make:
        x, result = make.plain((rows, length)), make.plain((rows, 1))
        primitive = make.primitive('reduction', _SUM, x, result, c_float(0), c_float(0))
        return Operation(make, primitive, (SRC, x, False), (DST, result, True))


def sums(a, shape):
    """The sums over images and pixels of a part that a flat array begins with."""
    images, channels, *row = shape
    if not row:
        return _column_sums(a, images, channels)
    parts = 1
    while row[0] % (2 * parts) == 0 and row[0] > parts * _EXACT:
        parts *= 2
    result = np.empty((images, channels, parts), np.float32)
    operation(_build_sums, result.size, row[0] // parts)(a, result)
    return result.sum(axis=(0, 2), dtype=np.float64)


def _column_sums(a, n, width):
    prepare()
    result, size = np.empty(width, np.float32), (b'N', b'N', 1, width, n)
    status = _library.library().sgemm(*size, 1, address(_ONES), n, address(a), width, 0, address(result), width)
    if status:
        _library.check(status, 'sgemm')
    return result


_TIMES, _DIFFERENCE_TIMES, _SQUARES = ((MUL, False),), ((SUB, True), (MUL, False)), ((SUB, True), (SQUARE, None))
_NEAR = 8


def is_near_zero(mean, var):
    """Whether numbers of such mean and variance, by channel, may be multiplied as they are instead of their differences
    to the mean: the sums then lose at most a digit."""
    return not (mean * mean > _NEAR * var).any()


def products(a, b, shape, scratch, mean=None):
    """The sums of (a - mean) * b likewise; mean is a number per channel, or None: 0."""
    if mean is not None:
        chain(_DIFFERENCE_TIMES, shape, a, mean, scratch, b)
    elif get_num_threads() > 1:
        chain(_TIMES, shape, a, b, scratch)
    else:  # NumPy has functions that add up as they multiply, but for one thread
        images, channels, *row = shape
        if not row:
            return np.einsum('ij,ij->j', a.reshape(shape), b.reshape(shape))
        result = np.matmul(a.reshape(-1, 1, *row), b.reshape(-1, *row, 1))
        return result.reshape(images, channels).sum(axis=0, dtype=np.float64)
    return sums(scratch, shape)


def moments(x, blocks):
    """Mean and variance of each channel of an array whose elements are flat."""
    d, parts, (total, squares) = blocks.scratch(), list(blocks), blocks.zeros(2)
    for part, keys, shape in parts:
        total[keys] += sums(x[part], shape)
        squares[keys] += products(x[part], x[part], shape, d)
    mean = blocks.total(total) / blocks.count
    var = blocks.total(squares) / blocks.count - mean * mean
    if not is_near_zero(mean, var):
        (means,), squares = blocks.spread(mean), blocks.zeros(1)[0]
        for part, keys, shape in reversed(parts):  # what was read last is still in the cache
            chain(_SQUARES, shape, x[part], means[keys], d)
            squares[keys] += sums(d, shape)
        var = blocks.total(squares) / blocks.count
    return mean.astype(np.float32), var.astype(np.float32)
