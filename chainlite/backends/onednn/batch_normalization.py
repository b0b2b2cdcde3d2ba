"""Batch normalization of arrays (n, c, *dims) over all axes but that of the channels; see cpu.batch_normalization."""

import functools
from ctypes import c_float, c_uint

import numpy as np

from chainlite.backends._layout import as_last, empty_last, roll
from chainlite.backends.cpu.batch_normalization import (
    batch_normalize,
    moments,
    normalize,
    normalize_grad,
    normalize_then,
    prepared,
    rectified_normalize_grad,
)
from chainlite.backends.cpu.relu import rectify_in_place
from chainlite.backends.onednn import _by_channel
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
    RESULT,
    SCALE,
    SHIFT,
    SRC,
    SRC_0,
    SRC_1,
    TRAINING,
    VARIANCE,
    WORKSPACE,
    Descriptors,
    Operation,
)
from chainlite.backends.onednn._threads import operation
from chainlite.backends.onednn.contiguous_batch_normalization import is_taken

_FIXED, _SCALE, _SHIFT, _RECTIFIED = 1, 2, 4, 8  # flags; fixed: mean and variance are given
_ADD = 0x1FFF0  # algorithm
# oneDNN adds up the rows (pixels) in float32, one after the other: of more than so many that is not exact enough.
EXACT_ROWS = 1 << 13
BLOCK = 1 << 18  # elements that are worked on at a time


def _by_channels(x, axis):
    return 2 <= x.ndim <= 5 and axis == (0, *range(2, x.ndim))


def _flags(fixed, rectify):
    return c_uint(_SCALE | _SHIFT | fixed * _FIXED | rectify * _RECTIFIED)


def _forward(make, x, propagation, eps, fixed, rectify=False):
    flags = _flags(fixed, rectify)
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


def _build_rectified(shape, keep):
    with Descriptors() as make:
        x, keys = make.plain(shape, True), make.plain(shape[1:2])
        numbers = [(argument, keys, False) for argument in (SCALE, SHIFT, MEAN, VARIANCE)]
        arguments = (SRC, x, False), *numbers, (DST, x, True), *[(WORKSPACE, None, True)] * keep
        return Operation(make, _forward(make, x, TRAINING if keep else INFERENCE, 0, True, True), *arguments)


def _build_sum(size, rectify):
    with Descriptors() as make:
        x = make.plain((size,))
        arguments = (SRC_0, x, False), (SRC_1, x, False), (RESULT, x, True)
        return Operation(make, make.primitive('binary', _ADD, x, x, x, relu=rectify), *arguments)


def _build_backward(shape, fixed, rectified=False):
    with Descriptors() as make:
        x, keys = make.plain(shape, True), make.plain(shape[1:2])
        flags = _flags(fixed, rectified)
        hint = _forward(make, x, TRAINING, 0, fixed, rectified)
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
            *[(WORKSPACE, None, False)] * rectified,
        )


@prepared.when(onednn, lambda x, axis: is_float32(x) and _by_channels(x, axis))
def _(x, axis):
    return x if is_taken(x, axis) else as_last(x)


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
        mean, var = _statistics(x)
        operation(_build_forward, rows.shape, eps, True)(rows, gamma, beta, mean, var, y)
    return y, mean, var


def _statistics(x):
    return _by_channel.moments(roll(x).reshape(-1), _by_channel.Blocks(x))


@functools.lru_cache(256)
def _identity(n):
    """A scale and an offset that change nothing."""
    return np.ones(n, np.float32), np.zeros(n, np.float32)


@moments.when(onednn, lambda x, axis: is_float32(x) and _by_channels(x, axis))
def _(x, axis):
    return _statistics(as_last(x))


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


def _is_finite(x):
    """Whether the sum of squares is."""
    x = roll(x).reshape(-1)
    with np.errstate(over='ignore', invalid='ignore'):
        return np.isfinite(np.dot(x, x))


@normalize_then.when(
    onednn,
    lambda x, numbers, axis, h, *_: is_float32(x, numbers) and (h is None or is_float32(h)) and _by_channels(x, axis),
)
def _(x, numbers, axis, h, rectify, of_batch, keep):
    mean, scale, offset = numbers[3:]
    x, h = as_last(x), None if h is None else as_last(h)
    y = empty_last(x.shape)
    given = scale, offset, mean, _identity(mean.size)[0]
    # oneDNN's rectifier would turn NaN into 0
    fused = rectify and np.isfinite(mean).all() and (of_batch or _is_finite(x)) and (h is None or _is_finite(h))
    if fused and h is None:
        run = operation(_build_rectified, x.shape, keep)
        kept = [np.empty(run.bytes[-1], np.uint8)] if keep else [None]
        run(x, *given, y, *kept * keep)
        return y, kept[0]
    rows, sums = [roll(a).reshape(-1, x.shape[1]) for a in (x, y)]
    more = None if h is None else roll(h).reshape(rows.shape)
    step = max(1, BLOCK // x.shape[1])
    for i in range(0, len(rows), step):  # the second operation finds the result of the first in the cache
        out = sums[i : i + step]
        operation(_build_forward, out.shape, 0, True)(rows[i : i + step], *given, out)
        if h is not None:
            operation(_build_sum, out.size, fused)(out, more[i : i + step], out)
        if rectify and not fused:
            rectify_in_place(out)
    return y, None


@normalize_grad.when(
    onednn,
    lambda gy, x, gamma, mean, inv_std, axis, fixed: is_float32(gy, x, gamma, mean, inv_std) and _by_channels(x, axis),
)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    return _normalize_grad(gy, x, gamma, mean, inv_std, fixed, None)


def _normalize_grad(gy, x, gamma, mean, inv_std, fixed, kept):
    gy, x = as_last(gy), as_last(x)
    gx = empty_last(x.shape)
    ggamma, gbeta = np.empty((2, x.shape[1]), np.float32)
    gamma, mean = map(np.ascontiguousarray, (gamma, mean))
    rectified = kept is not None
    run = operation(_build_backward, x.shape, fixed, rectified)
    run(x, gy, gamma, mean, inv_std**-2, gx, ggamma, gbeta, *[kept] * rectified)
    return gx, ggamma, gbeta


@rectified_normalize_grad.when(
    onednn,
    lambda gy, y, kept, x, gamma, numbers, axis, fixed, with_masked: (
        kept is not None and not with_masked and is_float32(gy, gamma)
    ),
)
def _(gy, y, kept, x, gamma, numbers, axis, fixed, with_masked):
    mean, _, inv_std, *_ = numbers
    return *_normalize_grad(gy, x, gamma, mean, inv_std, fixed, kept), None
