"""Layer normalization, which is group normalization by one group of rows (n, c); see cpu.group_normalization."""

from ctypes import c_float, c_uint

import numpy as np

from chainlite.backends.cpu.group_normalization import group_normalize, group_normalize_grad
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import (
    BACKWARD,
    DIFF_DST,
    DIFF_SCALE,
    DIFF_SHIFT,
    DIFF_SRC,
    DST,
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

_SCALE_AND_SHIFT = c_uint(2 | 4)  # flags
# oneDNN adds up the gradients of gamma and beta in float32, one row after the other: of more that is not exact enough.
_EXACT_ROWS = 1 << 12


def _forward(make, x, keys, eps):
    return make.primitive('layer_normalization_forward', TRAINING, x, x, keys, c_float(eps), _SCALE_AND_SHIFT)


def _build_forward(shape, eps):
    with Descriptors() as make:
        x, rows, channels = make.plain(shape), make.plain(shape[:1]), make.plain(shape[1:])
        return Operation(
            make,
            _forward(make, x, rows, eps),
            (SRC, x, False),
            (SCALE, channels, False),
            (SHIFT, channels, False),
            (MEAN, rows, True),
            (VARIANCE, rows, True),
            (DST, x, True),
        )


def _build_backward(shape):
    with Descriptors() as make:
        x, rows, channels = make.plain(shape), make.plain(shape[:1]), make.plain(shape[1:])
        hint = _forward(make, x, rows, 0)
        arguments = x, x, x, rows, c_float(0), _SCALE_AND_SHIFT, hint
        return Operation(
            make,
            make.primitive('layer_normalization_backward', BACKWARD, *arguments),
            (SRC, x, False),
            (DIFF_DST, x, False),
            (SCALE, channels, False),
            (SHIFT, channels, False),  # demanded, though nothing depends on it
            (MEAN, rows, False),
            (VARIANCE, rows, False),
            (DIFF_SRC, x, True),
            (DIFF_SCALE, channels, True),
            (DIFF_SHIFT, channels, True),
        )


@group_normalize.when(
    onednn, lambda x, gamma, beta, groups, eps: groups == 1 and x.ndim == 2 and is_float32(x, gamma, beta)
)
def _(x, gamma, beta, groups, eps):
    x, gamma, beta = map(np.ascontiguousarray, (x, gamma, beta))
    y, (mean, var) = np.empty_like(x), np.empty((2, len(x)), np.float32)
    operation(_build_forward, x.shape, eps)(x, gamma, beta, mean, var, y)
    var += np.float32(eps)
    return y, mean, var**-0.5


@group_normalize_grad.when(
    onednn,
    lambda gy, x, gamma, mean, inv_std, groups: (
        groups == 1 and x.ndim == 2 and len(x) <= _EXACT_ROWS and is_float32(gy, x, gamma, mean, inv_std)
    ),
)
def _(gy, x, gamma, mean, inv_std, groups):
    gy, x, gamma, mean = map(np.ascontiguousarray, (gy, x, gamma, mean))
    gx, (ggamma, gbeta) = np.empty_like(x), np.empty((2, x.shape[1]), np.float32)
    operation(_build_backward, x.shape)(x, gy, gamma, gamma, mean, inv_std**-2, gx, ggamma, gbeta)
    return gx, ggamma, gbeta
