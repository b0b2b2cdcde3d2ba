"""Weighted averages."""

import math

from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.sum import _check_axis, sum
from chainlite.variable import as_variable, operations


def average(x, axis=None, weights=None, keepdims=False):
    """Weighted average over axes.

    Args:
        x: float array.
        axis: int or tuple of ints; all axes if None.
        weights: array of the shape of `x`, or of its length along `axis`; all equal if None.
        keepdims: whether the axes stay, with length 1.
    """
    x = as_variable(x)
    _check_axis(axis, x.ndim)
    axes = (
        tuple(range(x.ndim))
        if axis is None
        else tuple(a % x.ndim for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    )
    if weights is None:
        return sum(x, axes, keepdims) * (1.0 / max(1, math.prod([x.shape[a] for a in axes])))
    weights = as_variable(weights)
    if weights.shape != x.shape and weights.ndim != len(axes):
        raise ValueError(
            f'weights must have the shape of x, {x.shape}, or one axis for each in axis={axis}; '
            f'its shape is {weights.shape}'
        )
    if weights.shape != x.shape:
        weights = reshape(weights, tuple([x.shape[a] if a in axes else 1 for a in range(x.ndim)]))
        weights = broadcast_to(weights, x.shape)
    total = sum(weights, axes, keepdims)
    return sum(x * weights, axes, keepdims) / total


def mean(x, axis=None, weights=None, keepdims=False):
    """The same as `average`."""
    return average(x, axis, weights, keepdims)


operations.average = average
