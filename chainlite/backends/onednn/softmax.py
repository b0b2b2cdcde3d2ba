"""Softmax and its logarithm, forward and backward, along the axis whose elements lie side by side; see cpu.softmax."""

import numpy as np

from chainlite.backends._layout import roll, unroll
from chainlite.backends.cpu.softmax import are_short, log_softmax, log_softmax_grad, softmax, softmax_grad
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import DIFF_DST, DIFF_SRC, DST, SRC, TRAINING, Descriptors, Operation
from chainlite.backends.onednn._threads import operation

_SOFTMAX, _LOG_SOFTMAX = 0x30000, 0x30001  # algorithms
_WORTH = 1 << 12  # elements, below which NumPy is as fast


def _forward(make, algorithm, x):
    return make.primitive('softmax_forward', TRAINING, algorithm, x, x, 1)


def _build_forward(algorithm, shape):
    with Descriptors() as make:
        x = make.plain(shape)
        return Operation(make, _forward(make, algorithm, x), (SRC, x, False), (DST, x, True))


def _build_backward(algorithm, shape):
    with Descriptors() as make:
        y = make.plain(shape)
        primitive = make.primitive('softmax_backward', algorithm, y, y, y, 1, _forward(make, algorithm, y))
        return Operation(make, primitive, (DST, y, False), (DIFF_DST, y, False), (DIFF_SRC, y, True))


def _is_innermost(x, axis):
    return x.ndim > 1 and (
        axis in (-1, x.ndim - 1) and x.flags.c_contiguous or axis == 1 and x.ndim > 2 and roll(x).flags.c_contiguous
    )


def _takes(*arguments):
    *arrays, axis = arguments
    return not are_short(arrays[0], axis) and all([_is_innermost(a, axis) for a in arrays]) and is_float32(*arrays)


def _run(build, algorithm, axis, *arrays):
    rolled = axis not in (-1, arrays[0].ndim - 1)
    arrays = [roll(a) for a in arrays] if rolled else arrays
    y = np.empty(arrays[0].shape, np.float32)
    operation(build, algorithm, (y.size // y.shape[-1], y.shape[-1]))(*arrays, y)
    return unroll(y) if rolled else y


@softmax.when(onednn, _takes, least=_WORTH)
def _(x, axis):
    return _run(_build_forward, _SOFTMAX, axis, x)


@log_softmax.when(onednn, _takes, least=_WORTH)
def _(x, axis):
    return _run(_build_forward, _LOG_SOFTMAX, axis, x)


@softmax_grad.when(onednn, _takes, least=_WORTH)
def _(y, gy, axis):
    return _run(_build_backward, _SOFTMAX, axis, y, gy)


@log_softmax_grad.when(onednn, _takes, least=_WORTH)
def _(y, gy, axis):
    return _run(_build_backward, _LOG_SOFTMAX, axis, y, gy)
