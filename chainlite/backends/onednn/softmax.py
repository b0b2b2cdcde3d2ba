"""Softmax and its logarithm, forward and backward, along the innermost axis; see cpu.softmax."""

import numpy as np

from chainlite.backends._layout import dense, empty_last
from chainlite.backends.cpu.softmax import log_softmax, log_softmax_grad, softmax, softmax_grad
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import (
    DIFF_DST,
    DIFF_SRC,
    DST,
    SRC,
    TRAINING,
    Descriptors,
    Operation,
)
from chainlite.backends.onednn._threads import operation

_SOFTMAX, _LOG_SOFTMAX = 0x30000, 0x30001  # algorithms


def _forward(make, algorithm, x, axis):
    return make.primitive('softmax_forward', TRAINING, algorithm, x, x, axis)


def _build_forward(algorithm, shape, last, axis):
    with Descriptors() as make:
        x = make.plain(shape, last)
        return Operation(make, _forward(make, algorithm, x, axis), (SRC, x, False), (DST, x, True))


def _build_backward(algorithm, shape, last, gy_last, axis):
    with Descriptors() as make:
        y = make.plain(shape, last)
        hint = _forward(make, algorithm, y, axis)
        primitive = make.primitive('softmax_backward', algorithm, y, y, y, axis, hint)
        arguments = (DST, y, False), (DIFF_DST, make.plain(shape, gy_last), False), (DIFF_SRC, y, True)
        return Operation(make, primitive, *arguments)


_WORTH = 1 << 12  # elements


def _takes(*arguments):
    """Where NumPy is slower: many elements, along the axis whose elements lie side by side in all arrays."""
    *arrays, axis = arguments
    ndim = arrays[0].ndim
    return (
        arrays[0].size >= _WORTH
        and 2 <= ndim <= 5
        and -ndim <= axis < ndim
        and all([a.strides[axis] == 4 and a.ndim == ndim for a in arrays])
        and is_float32(*arrays)
    )


def _empty(shape, last):
    return empty_last(shape) if last else np.empty(shape, np.float32)


def _run_forward(algorithm, x, axis):
    x, last = dense(x)
    y = _empty(x.shape, last)
    operation(_build_forward, algorithm, x.shape, last, axis % x.ndim)(x, y)
    return y


def _run_backward(algorithm, y, gy, axis):
    y, last = dense(y)
    gy, gy_last = dense(gy)
    gx = _empty(y.shape, last)
    operation(_build_backward, algorithm, y.shape, last, gy_last, axis % y.ndim)(y, gy, gx)
    return gx


@softmax.when(onednn, _takes)
def _(x, axis):
    return _run_forward(_SOFTMAX, x, axis)


@log_softmax.when(onednn, _takes)
def _(x, axis):
    return _run_forward(_LOG_SOFTMAX, x, axis)


@softmax_grad.when(onednn, _takes)
def _(y, gy, axis):
    return _run_backward(_SOFTMAX, y, gy, axis)


@log_softmax_grad.when(onednn, _takes)
def _(y, gy, axis):
    return _run_backward(_LOG_SOFTMAX, y, gy, axis)
