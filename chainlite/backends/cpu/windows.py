"""Windows that slide over arrays (n, c, d_1, ..., d_N): what convolution and pooling have in common.

A window is a set of offsets, k_1 * ... * k_N of them. For one offset, the elements that the windows see there are a
strided slice of the input, and the windows that see an element (not the padding) are a slice of the output. Hence a
loop over the few offsets does all the work, in any number of dimensions, and nothing needs to be padded.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np


class Offset(NamedTuple):
    """An offset within the window, with indexes for arrays whose last axes are those of the input and of the output."""

    place: tuple  # the offset itself
    x: tuple
    y: tuple


@functools.lru_cache(1024)
def offsets(dims, ksize, stride, pad, dilate, outs):
    """The offsets of a window in row order, as a tuple of `Offset`s.

    Args:
        dims: sizes of the input.
        ksize, stride, pad, dilate: size of the window, its steps, the padding in front, the distance of its elements.
        outs: number of windows along each axis.
    """
    axes = [list(_axis(*sizes)) for sizes in zip(dims, ksize, stride, pad, dilate, outs)]
    return tuple(
        Offset(tuple(k for k, _, _ in one), (..., *(x for _, x, _ in one)), (..., *(y for _, _, y in one)))
        for one in itertools.product(*axes)
    )


def _axis(size, ksize, stride, pad, dilate, out):
    for k in range(ksize):
        start = k * dilate - pad  # where the first window has this offset
        first = max(0, -(start // stride))  # the first window that has it inside the input
        last = min(out, (size - 1 - start) // stride + 1)  # and the one after the last
        last = max(first, last)
        start += first * stride
        yield (
            k,
            slice(start, start + max(0, (last - first - 1) * stride + 1) if last > first else start, stride),
            slice(first, last),
        )


def im2col(x, ksize, stride, pad, dilate, outs, col):
    """Writes the elements of all windows to `col`, (n, c, *ksize, *outs), which holds the padding's value already."""
    for place, inside, windows in offsets(x.shape[2:], ksize, stride, pad, dilate, outs):
        col[(slice(None), slice(None), *place, *windows)] = x[inside]
    return col


def windows_view(x, ksize, stride, pad, dilate, outs):
    """The elements of all windows, (n, c, *ksize, *outs), as a view of `x` or of `x` with zeros around. NumPy only."""
    reach = [(o - 1) * s + (k - 1) * d + 1 for k, s, d, o in zip(ksize, stride, dilate, outs)]
    dims = x.shape[2:]
    if any([p or r > n for n, p, r in zip(dims, pad, reach)]) or not x.flags.c_contiguous:
        padded = np.zeros((*x.shape[:2], *[max(n + p, r) for n, p, r in zip(dims, pad, reach)]), x.dtype)
        padded[(..., *[slice(p, p + n) for n, p in zip(dims, pad)])] = x
        x = padded
    images, channels, *steps = x.strides
    strides = (images, channels, *[st * d for st, d in zip(steps, dilate)], *[st * s for st, s in zip(steps, stride)])
    return np.ndarray((*x.shape[:2], *ksize, *outs), x.dtype, x, 0, strides)


def col2im(col, stride, pad, dilate, x):
    """Adds the elements of all windows to where they are in `x`: the transpose of `im2col`."""
    spatial = x.ndim - 2
    ksize, outs = col.shape[2 : 2 + spatial], col.shape[2 + spatial :]
    for place, inside, windows in offsets(x.shape[2:], ksize, stride, pad, dilate, outs):
        x[inside] += col[(slice(None), slice(None), *place, *windows)]
    return x
