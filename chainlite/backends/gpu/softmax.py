"""Softmax, its logarithm and cross entropy; see cpu.softmax for what the arguments are, and kernels/softmax.cu."""

from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.softmax import (
    cross_entropy,
    cross_entropy_grad,
    log_softmax,
    log_softmax_grad,
    mean_loss,
    softmax,
    softmax_grad,
)
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import (
    LONG_ROW_THREADS,
    contiguous,
    function,
    index_type,
    is_float,
    launch,
    launch_columns,
)

_MOST_LOSSES = 1 << 17  # what one block adds up quickly


def _takes(x, axis):
    return is_float(x) and -x.ndim <= axis < x.ndim


def _takes_two(y, gy, axis):
    return _takes(y, axis) and is_float(gy) and y.shape == gy.shape


def _forward(x, axis, log):
    (x,) = contiguous(x)
    y = cuda.cupy.empty(x.shape, x.dtype)
    launch_columns(function('softmax.softmax', x.dtype, index_type(x), log), (x, y), x.shape, axis % x.ndim)
    return y


def _backward(y, gy, axis, log):
    y, gy = contiguous(y, gy.astype(y.dtype, copy=False))
    gx = cuda.cupy.empty(y.shape, y.dtype)
    launch_columns(function('softmax.softmax_grad', y.dtype, index_type(y), log), (y, gy, gx), y.shape, axis % y.ndim)
    return gx


@softmax.when(gpu, _takes)
def _(x, axis):
    return _forward(x, axis, False)


@log_softmax.when(gpu, _takes)
def _(x, axis):
    return _forward(x, axis, True)


@softmax_grad.when(gpu, _takes_two)
def _(y, gy, axis):
    return _backward(y, gy, axis, False)


@log_softmax_grad.when(gpu, _takes_two)
def _(y, gy, axis):
    return _backward(y, gy, axis, True)


def _labels(t, class_weight, ignore_label, dtype):
    """The arguments of the functions that say how much a label counts."""
    (t,) = contiguous(t if t.dtype.char in 'ilq' else t.astype(np.int32))
    if class_weight is not None:
        (class_weight,) = contiguous(cuda.cupy.asarray(class_weight, dtype))
    ignores = ignore_label is not None
    return t, (class_weight if class_weight is not None else 0, int(ignore_label) if ignores else 0, ignores)


def _takes_labels(x, t, *rest):
    return is_float(x) and isinstance(t, cuda.cupy.ndarray) and x.ndim >= 2


@cross_entropy.when(gpu, _takes_labels)
def _(x, t, class_weight, ignore_label):
    dtype = np.result_type(x.dtype, np.float32)
    (x,) = contiguous(x)
    t, how = _labels(t, class_weight, ignore_label, dtype)
    loss, log_y = cuda.cupy.empty(t.shape, x.dtype), cuda.cupy.empty(x.shape, dtype)
    run = function('softmax.cross_entropy', x.dtype, t.dtype, index_type(x))
    launch_columns(run, (x, t), x.shape, 1, *how, loss, log_y)
    return loss, log_y


@cross_entropy_grad.when(
    gpu, lambda gloss, log_y, t, *_: is_float(gloss) and log_y.dtype.char in 'fd' and _takes_labels(log_y, t)
)
def _(gloss, log_y, t, class_weight, ignore_label):
    log_y, gloss = contiguous(log_y, gloss.astype(log_y.dtype, copy=False))
    t, how = _labels(t, class_weight, ignore_label, log_y.dtype)
    gx = cuda.cupy.empty(log_y.shape, log_y.dtype)
    run = function('softmax.cross_entropy_grad', gx.dtype, t.dtype, index_type(gx))
    step = 1 if gloss.ndim else 0
    launch(run, gx.size, gloss, step, log_y, t, *how, gx, gx.shape[1], prod(gx.shape[2:]))
    return gx


@mean_loss.when(
    gpu,
    lambda loss, t, *_: (
        is_float(loss)
        and loss.size <= _MOST_LOSSES
        and t.dtype.char in 'ilq'
        and loss._c_contiguous
        and t._c_contiguous
    ),
)
def _(loss, t, ignore_label, count):
    mean, dtype = cuda.cupy.ndarray((), loss.dtype), np.result_type(loss.dtype, np.float32)
    scale = cuda.cupy.ndarray((), dtype) if count is None else 1.0 / max(count, 1)
    given, out = (0.0, scale) if count is None else (scale, None)
    run = function('softmax.mean_loss', loss.dtype, t.dtype)
    run((1,), (LONG_ROW_THREADS,), (loss, t, int(ignore_label or 0), given, mean, out, loss.size))
    return mean, scale
