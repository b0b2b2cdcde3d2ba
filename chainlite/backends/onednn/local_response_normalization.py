"""Normalization by neighbouring channels; see cpu.local_response_normalization."""

from ctypes import c_float, c_int64

import numpy as np

from chainlite.backends._layout import as_last, empty_last
from chainlite.backends.cpu.local_response_normalization import normalize, normalize_grad
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import (
    DIFF_DST,
    DIFF_SRC,
    DST,
    SRC,
    TRAINING,
    WORKSPACE,
    Descriptors,
    Operation,
)
from chainlite.backends.onednn._threads import operation

_ACROSS_CHANNELS = 0xAFF


def _forward(make, x, n, k, alpha, beta):
    numbers = c_int64(n), c_float(alpha * n), c_float(beta), c_float(k)  # oneDNN's alpha is that of the mean
    return make.primitive('lrn_forward', TRAINING, _ACROSS_CHANNELS, x, x, *numbers), numbers


def _build_forward(shape, *row):
    with Descriptors() as make:
        x = make.plain(shape, True)
        return Operation(make, _forward(make, x, *row)[0], (SRC, x, False), (DST, x, True), (WORKSPACE, None, True))


def _build_backward(shape, *row):
    with Descriptors() as make:
        x = make.plain(shape, True)
        hint, numbers = _forward(make, x, *row)
        primitive = make.primitive('lrn_backward', _ACROSS_CHANNELS, x, x, x, *numbers, hint)
        arguments = (SRC, x, False), (DIFF_DST, x, False), (DIFF_SRC, x, True), (WORKSPACE, None, False)
        return Operation(make, primitive, *arguments)


def _takes(x, n, beta):
    return x.ndim == 4 and n % 2 == 1 and beta == 0.75 and is_float32(x)


@normalize.when(onednn, lambda x, n, k, alpha, beta: _takes(x, n, beta))
def _(x, n, k, alpha, beta):
    x = as_last(x)
    y = empty_last(x.shape)
    run = operation(_build_forward, x.shape, n, k, alpha, beta)
    kept = np.empty(run.bytes[2], np.uint8)
    run(x, y, kept)
    return y, kept


@normalize_grad.when(
    onednn, lambda gy, x, kept, n, k, alpha, beta: _takes(x, n, beta) and is_float32(gy) and type(kept) is np.ndarray
)
def _(gy, x, kept, n, k, alpha, beta):
    x = as_last(x)
    gx = empty_last(x.shape)
    operation(_build_backward, x.shape, n, k, alpha, beta)(x, as_last(gy), gx, kept)
    return gx
