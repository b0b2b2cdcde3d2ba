"""The two layouts of an array (n, c, *dims).

C-contiguous, and `channels last`, where the channels of one pixel lie side by side: the shape is the same, only the
strides differ. The fast kernels compute in the second, and their results have it. Between our own functions arrays stay
as they are; whoever else looks at one is shown a C-contiguous array, see `Variable.array`.
"""

import numpy as np


def strides_of(shape, last=False):
    """Strides in elements; with `last`, of channels last."""
    order = (0, *range(2, len(shape)), 1) if last else range(len(shape))
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return strides


def _rolled(x):
    """The view (n, *dims, c)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def is_last(x):
    """Whether an array is channels last and not C-contiguous as well."""
    return not x.flags.c_contiguous and x.ndim > 2 and _rolled(x).flags.c_contiguous


def dense(x):
    """(array, whether it is channels last): x, or a copy if it is in neither of the two layouts."""
    if x.flags.c_contiguous:
        return x, x.ndim > 2 and x.shape[1] == 1
    if x.ndim > 2 and _rolled(x).flags.c_contiguous:
        return x, True
    return np.ascontiguousarray(x), False


def empty_last(shape, dtype=np.float32):
    """A new array (n, c, *dims), channels last."""
    n, c, *sizes = shape
    ndim = len(shape)
    return np.empty((n, *sizes, c), dtype).transpose(0, ndim - 1, *range(1, ndim - 1))


def as_last(x):
    """The array channels last: itself, or a copy."""
    y = _rolled(x)
    if y.flags.c_contiguous:
        return x
    return np.ascontiguousarray(y).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def flat(x):
    """All elements along one axis, in the order in which they lie in memory."""
    x, last = dense(x)
    return (_rolled(x) if last else x).reshape(-1)
