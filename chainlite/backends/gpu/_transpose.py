"""Arrays in the order that a kernel wants, by kernels/transpose.cu."""

import functools
from math import prod

from chainlite.backends import cuda
from chainlite.backends._layout import is_last, roll, unroll
from chainlite.backends.gpu._launch import THREADS, blocks_for, constants, function, index_type_of

_TILE = 32  # rows and columns
_UNSIGNED = {1: 'unsigned char', 2: 'unsigned short', 4: 'unsigned', 8: 'unsigned long long'}  # by the size of a dtype


def strides_of(shape, order, size):
    """The strides of an array whose axes lie in this order, with elements of so many bytes; and its size in bytes."""
    strides, step = [0] * len(shape), size
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides), step


@functools.lru_cache(4096)
def _strides(shape, size, last):
    """The strides of an array (n, c, *dims), channels last or C-contiguous, and its size in bytes."""
    return strides_of(shape, (0, *range(2, len(shape)), 1) if last else range(len(shape)), size)


@functools.lru_cache(4096)
def orders(shape, strides, size):
    """Whether an array of these strides is C-contiguous, and whether it is channels last: it may be both."""
    expected = [_strides(shape, size, last)[0] for last in (False, True)]
    return tuple([all([s == e or n == 1 for s, e, n in zip(strides, of, shape)]) for of in expected])


def empty(shape, dtype, last):
    """A new array (n, c, *dims), channels last or C-contiguous."""
    if not last:
        return cuda.cupy.ndarray(shape, dtype)
    strides, size = _strides(shape, dtype.itemsize, True)
    return cuda.cupy.ndarray(shape, dtype, cuda.cupy.cuda.alloc(size), strides)


def turned(x, shape, pitch=None):
    """The matrices of a C-contiguous array, turned: (s, columns, pitch) of `shape` (s, rows, columns).

    With a `pitch` above the number of rows there are zeros behind.
    """
    result, blocks, threads, run, numbers = _turning(shape, pitch or shape[1], x.itemsize)
    y = cuda.cupy.ndarray(result, x.dtype)
    if run is not None:
        run(blocks, threads, (x, y, *numbers))
    return y


@functools.lru_cache(4096)
def _turning(shape, pitch, size):
    """The shape of what `turned` gives, and the launch: blocks, threads, function (None: nothing to do), numbers."""
    stack, rows, columns = shape
    result = stack, columns, pitch
    if not prod(result):
        return result, None, None, None, None
    kinds = _UNSIGNED[size], index_type_of(stack * columns * max(rows, pitch))
    if pitch in (4, 8) and pitch * size <= 16:
        blocks, numbers = blocks_for(stack * columns), (rows, columns, stack * columns)
        return result, blocks, (THREADS,), function('transpose.interleave', *kinds, pitch), constants(*numbers)
    blocks = (stack * -(-columns // _TILE) * -(-pitch // _TILE),)
    return result, blocks, (_TILE, 8), function('transpose.turn', *kinds), constants(rows, columns, pitch)


def channels_last(x, channels=None):
    """A copy (n, *dims, channels) of an array (n, c, *dims), C-contiguous, with zeros in more channels than c."""
    n, c, *dims = x.shape
    channels = channels or c
    if x._c_contiguous:
        return turned(x, (n, c, prod(dims)), channels).reshape(n, *dims, channels)
    if channels == c:
        return roll(x).copy(order='C')
    y = cuda.cupy.zeros((n, *dims, channels), x.dtype)
    unroll(y)[:, :c] = x
    return y


def dense(x, last):
    """The array, or a copy, channels last or C-contiguous; it begins at a multiple of 16 bytes."""
    if orders(x.shape, x.strides, x.itemsize)[last] and not x.data.ptr % 16:
        return x
    return unroll(channels_last(x)) if last else x.copy(order='C')


def as_layout_of(like, y):
    """A C-contiguous array (n, c, *dims), or a copy that is channels last as `like` is."""
    return unroll(channels_last(y)) if is_last(like) else y
