"""Arrays in the order that a kernel wants, by kernels/transpose.cu."""

from math import prod

from chainlite.backends import cuda
from chainlite.backends._layout import is_last, roll, unroll
from chainlite.backends.gpu._launch import function, index_type

_TILE = 32  # rows and columns
_UNSIGNED = {1: 'unsigned char', 2: 'unsigned short', 4: 'unsigned', 8: 'unsigned long long'}  # by the size of a dtype


def turned(x, shape, pitch=None):
    """The matrices of a C-contiguous array, turned: (s, columns, pitch) of `shape` (s, rows, columns).

    With a `pitch` above the number of rows there are zeros behind.
    """
    stack, rows, columns = shape
    pitch = pitch or rows
    y = cuda.cupy.empty((stack, columns, pitch), x.dtype)
    tiles = stack * -(-columns // _TILE) * -(-pitch // _TILE)
    if tiles:
        run = function('transpose.turn', _UNSIGNED[x.itemsize], index_type(x, y))
        run((tiles,), (_TILE, 8), (x, y, rows, columns, pitch))
    return y


def channels_last(x, channels=None):
    """A copy (n, *dims, channels) of an array (n, c, *dims), C-contiguous, with zeros in more channels than c."""
    n, c, *dims = x.shape
    channels = channels or c
    if x.flags.c_contiguous:
        return turned(x, (n, c, prod(dims)), channels).reshape(n, *dims, channels)
    if channels == c:
        return roll(x).copy(order='C')
    y = cuda.cupy.zeros((n, *dims, channels), x.dtype)
    unroll(y)[:, :c] = x
    return y


def dense(x, last):
    """The array, or a copy, channels last or C-contiguous; it begins at a multiple of 16 bytes."""
    if (roll(x) if last else x).flags.c_contiguous and not x.data.ptr % 16:
        return x
    return unroll(channels_last(x)) if last else x.copy(order='C')


def empty(shape, dtype, last):
    """A new array (n, c, *dims), channels last or C-contiguous."""
    n, c, *dims = shape
    return unroll(cuda.cupy.empty((n, *dims, c), dtype)) if last else cuda.cupy.empty(shape, dtype)


def as_layout_of(like, y):
    """A C-contiguous array (n, c, *dims), or a copy that is channels last as `like` is."""
    return unroll(channels_last(y)) if is_last(like) else y
