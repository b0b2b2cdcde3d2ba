"""Batch normalization of arrays (n, c, *dims) over all axes but that of the channels; see cpu.batch_normalization."""

from ctypes import c_float, c_uint

import numpy as np

from chainlite.backends._layout import as_last, empty_last, roll
from chainlite.backends.cpu.batch_normalization import batch_normalize, normalize, normalize_grad
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import (
    BACKWARD,
    DIFF_DST,
    DIFF_SCALE,
    DIFF_SHIFT,
    DIFF_SRC,
    DST,
    INFERENCE,
    MEAN,
    SCALE,
    SHIFT,
    SRC,
    TRAINING,
    VARIANCE,
    Descriptors,
    Operation,
)
from chainlite.backends.onednn._threads import operation

_FIXED, _SCALE, _SHIFT = 1, 2, 4  # flags; fixed: mean and variance are given
# oneDNN adds up the rows (pixels) in float32, one after the other: of more than so many that is not exact enough.
EXACT_ROWS, BLOCK = 1 << 13, 1 << 11


def _by_channels(x, axis):
    return 2 <= x.ndim <= 5 and axis == (0, *range(2, x.ndim))


def _forward(make, x, propagation, eps, fixed):
    flags = c_uint(_SCALE | _SHIFT | fixed * _FIXED)
    return make.primitive('batch_normalization_forward', propagation, x, x, c_float(eps), flags)


def _build_forward(shape, eps, fixed):
    with Descriptors() as make:
        x, keys = make.plain(shape, True), make.plain(shape[1:2])
        return Operation(
            make,
            _forward(make, x, INFERENCE if fixed else TRAINING, eps, fixed),
            (SRC, x, False),
            (SCALE, keys, False),
            (SHIFT, keys, False),
            (MEAN, keys, not fixed),
            (VARIANCE, keys, not fixed),
            (DST, x, True),
        )


def _build_backward(shape, fixed):
    with Descriptors() as make:
        x, keys = make.plain(shape, True), make.plain(shape[1:2])
        flags = c_uint(_SCALE | _SHIFT | fixed * _FIXED)
        hint = _forward(make, x, TRAINING, 0, fixed)
        return Operation(
            make,
            make.primitive('batch_normalization_backward', BACKWARD, x, x, x, c_float(0), flags, hint),
            (SRC, x, False),
            (DIFF_DST, x, False),
            (SCALE, keys, False),
            (MEAN, keys, False),
            (VARIANCE, keys, False),
            (DIFF_SRC, x, True),
            (DIFF_SCALE, keys, True),
            (DIFF_SHIFT, keys, True),
        )


@batch_normalize.when(onednn, lambda x, gamma, beta, axis, eps: is_float32(x, gamma, beta) and _by_channels(x, axis))
def _(x, gamma, beta, axis, eps):
    x = as_last(x)
    y = empty_last(x.shape)
    rows = roll(x).reshape(-1, x.shape[1])
    gamma, beta = np.ascontiguousarray(gamma), np.ascontiguousarray(beta)
    if len(rows) <= EXACT_ROWS:
        mean, var = np.empty((2, x.shape[1]), np.float32)
        operation(_build_forward, rows.shape, eps, False)(rows, gamma, beta, mean, var, y)
    else:
        mean, var = _statistics(rows, gamma, beta)
        operation(_build_forward, rows.shape, eps, True)(rows, gamma, beta, mean, var, y)
    return y, mean, var


def _statistics(rows, gamma, beta):
    """Mean and variance, from those of blocks of rows; what oneDNN writes of a block stays in the cache."""
    n, c = rows.shape
    starts = range(0, n, BLOCK)
    means, variances = np.empty((2, len(starts), c), np.float32)
    scratch = np.empty((BLOCK, c), np.float32)
    for i, start in enumerate(starts):
        block = rows[start : start + BLOCK]
        operation(_build_forward, block.shape, 0, False)(block, gamma, beta, means[i], variances[i], scratch)
    weights = np.full((len(starts), 1), BLOCK / n)
    weights[-1] -= (len(starts) * BLOCK - n) / n
    mean = (weights * means).sum(axis=0)
    variance = (weights * (variances + (means - mean) ** 2)).sum(axis=0)
    return mean.astype(np.float32), variance.astype(np.float32)


@normalize.when(
    onednn,
    lambda x, gamma, beta, mean, inv_std, axis: is_float32(x, gamma, beta, mean, inv_std) and _by_channels(x, axis),
)
def _(x, gamma, beta, mean, inv_std, axis):
    x = as_last(x)
    y = empty_last(x.shape)
    gamma, beta, mean = map(np.ascontiguousarray, (gamma, beta, mean))
    operation(_build_forward, x.shape, 0, True)(x, gamma, beta, mean, inv_std**-2, y)
    return y


@normalize_grad.when(
    onednn,
    lambda gy, x, gamma, mean, inv_std, axis, fixed: is_float32(gy, x, gamma, mean, inv_std) and _by_channels(x, axis),
)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    gy, x = as_last(gy), as_last(x)
    gx = empty_last(x.shape)
    ggamma, gbeta = np.empty((2, x.shape[1]), np.float32)
    gamma, mean = map(np.ascontiguousarray, (gamma, mean))
    run = operation(_build_backward, x.shape, fixed)
    run(x, gy, gamma, mean, inv_std**-2, gx, ggamma, gbeta)
    return gx, ggamma, gbeta
