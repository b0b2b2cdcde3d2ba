"""The two layouts of an array (n, c, *dims).

C-contiguous, and `channels last`, where the channels of one pixel lie side by side: the shape is the same, only the
strides differ. The fast kernels compute in the second, and their results have it. Between our own functions arrays stay
as they are; whoever else looks at one is shown a C-contiguous array, see `Variable.array`.
"""

import functools

import numpy as np

from chainlite.backends._kernel import Kernel

_ROLLED = [None, None, None, *((0, *range(2, ndim), 1) for ndim in range(3, 65))]
_UNROLLED = [None, None, None, *((0, ndim - 1, *range(1, ndim - 1)) for ndim in range(3, 65))]


def roll(x):
    """The view (n, *dims, c): C-contiguous if x is channels last."""
    return x.transpose(_ROLLED[x.ndim]) if x.ndim > 2 else x


def unroll(x):
    """The view (n, c, *dims) of an array (n, *dims, c)."""
    return x.transpose(_UNROLLED[x.ndim]) if x.ndim > 2 else x


def is_last(x):
    """Whether an array is channels last and not C-contiguous as well."""
    return x.ndim > 2 and not x.flags.c_contiguous and _lies_last(x.shape, x.strides, x.itemsize)


@functools.lru_cache(4096)
def _lies_last(shape, strides, size):
    """Whether `roll` of an array with these strides is C-contiguous; remembered, as views of CuPy take their time."""
    if 0 in shape:
        return True
    for axis in (1, *reversed(range(2, len(shape))), 0):
        if shape[axis] != 1 and strides[axis] != size:
            return False
        size *= shape[axis]
    return True


def as_last(x):
    """The array channels last: itself, or a copy."""
    lies = _lies_last(x.shape, x.strides, x.itemsize) if x.ndim > 2 else x.flags.c_contiguous
    return x if lies else to_last(x)


def as_contiguous(x):
    """The array C-contiguous: itself, or a copy."""
    return from_last(x) if is_last(x) else np.ascontiguousarray(x)


@Kernel
def to_last(x):
    """A copy of an array that is channels last."""
    return unroll(roll(x).copy())


@Kernel
def from_last(x):
    """A C-contiguous copy of an array; the fast implementations take those that are channels last."""
    return x.copy()


@Kernel
def preferred(x):
    """The array in the layout that the convolutions like best: itself, or a copy."""
    return x


def empty_last(shape, dtype=np.float32):
    """A new NumPy array (n, c, *dims), channels last."""
    n, c, *sizes = shape
    return unroll(np.empty((n, *sizes, c), dtype))
