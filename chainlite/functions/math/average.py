"""Weighted averages."""

import math

from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.array.cast import cast
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.sum import check_axes, sum
from chainlite.variable import as_variable, operations


def average(x, axis=None, weights=None, keepdims=False):
    """Weighted average over axes.

    Args:
        x: float array.
        axis: int or tuple of ints (an int if there are weights); all axes if None.
        weights: float array of the length of `x` along `axis`, or one that broadcasts to `x`; all equal if None.
        keepdims: whether the axes stay, with length 1.
    """
    x = as_variable(x)
    check_axes('Mean', axis, x.ndim)
    if weights is None:
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        scale = 1.0 / max(1, math.prod([x.shape[a] for a in axes]))
        if x.dtype.itemsize == 2:  # whose sum may be more than the dtype holds
            return cast(sum(cast(x, 'f'), axis, keepdims) * scale, x.dtype)
        return sum(x, axis, keepdims) * scale
    if isinstance(axis, tuple) and len(axis) > 1:
        raise ValueError('tuple axis is not supported when weights is given')
    weights = as_variable(weights)
    if axis is not None and weights.shape != x.shape:
        axis = (axis[0] if isinstance(axis, tuple) else axis) % x.ndim
        weights = reshape(weights, tuple([n if a == axis else 1 for a, n in enumerate(x.shape)]))
    weights = broadcast_to(weights, x.shape)
    return sum(x * weights, axis, keepdims) / sum(weights, axis, keepdims)


def mean(x, axis=None, weights=None, keepdims=False):
    """The same as `average`."""
    return average(x, axis, weights, keepdims)


operations.average = average
