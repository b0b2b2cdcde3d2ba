"""Softmax and its logarithm, forward and backward.

Sixteen-bit input is computed in 32 bits. The maximum is taken off first, so that nothing overflows. Many short rows
are computed in Fortran's order, in which NumPy takes maxima and sums of all rows at once, several times as fast.
"""

import math

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel


def _wide(x):
    """float32 for sixteen bits, the array itself otherwise."""
    return x.astype('f') if x.dtype.itemsize == 2 else x


def are_short(x, axis):
    """Whether the rows along `axis` of a NumPy array are short and many."""
    return axis in (1, -1) and x.ndim == 2 and x.shape[1] <= 32 <= x.shape[0] and isinstance(x, np.ndarray)


def _ordered(x, axis):
    """The array in the precision and in the order to compute in."""
    x = _wide(x)
    return np.asfortranarray(x) if are_short(x, axis) else x


def _shifted(x, axis):
    """x - max."""
    y = _ordered(x, axis)
    return y - y.max(axis=axis, keepdims=True)


def _log_softmax(x, axis):
    xp = backend.get_array_module(x)
    y = _shifted(x, axis)
    y -= xp.log(xp.exp(y).sum(axis=axis, keepdims=True))
    return y


def _as_usual(y, x):
    """y in the dtype of x, and not in Fortran's order."""
    return y.astype(x.dtype, order='C' if y.ndim == 2 else 'K', copy=False)


@Kernel
def softmax(x, axis):
    """exp(x - max) / sum(exp(x - max)) along `axis`."""
    y = _shifted(x, axis)
    backend.get_array_module(x).exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return _as_usual(y, x)


@Kernel
def softmax_grad(y, gy, axis):
    """y * (gy - sum(y * gy))."""
    w = _ordered(y, axis)
    gx = w * _ordered(gy, axis)
    gx -= w * gx.sum(axis=axis, keepdims=True)
    return _as_usual(gx, y)


@Kernel
def log_softmax(x, axis):
    """x - max - log(sum(exp(x - max))) along `axis`."""
    return _as_usual(_log_softmax(x, axis), x)


@Kernel
def log_softmax_grad(y, gy, axis):
    """gy - exp(y) * sum(gy)."""
    xp = backend.get_array_module(y)
    g = _ordered(gy, axis)
    gx = xp.exp(_ordered(y, axis))
    gx *= -g.sum(axis=axis, keepdims=True)
    gx += g
    return _as_usual(gx, y)


def _chosen(log_y, t, ignore_label):
    """Index of the label of each position, in an array (n, k) or (n, k, d); and which positions count (None: all)."""
    xp = backend.get_array_module(log_y)
    t = t.astype(np.intp, copy=False)  # which NumPy would do at each use
    if t.ndim > 1:
        t = t.reshape(len(t), math.prod(t.shape[1:]))
    counts = None
    if ignore_label is not None:
        counts = t != ignore_label
        if xp.count_nonzero(counts) == t.size:
            counts = None
        else:
            t = xp.where(counts, t, 0)
    if t.ndim == 1:
        return (xp.arange(len(t)), t), counts
    n, d = t.shape
    return (xp.arange(n)[:, None], t, xp.arange(d)), counts


def _flat(y):
    """(n, k), or (n, k, d) with the other axes as one."""
    return y if y.ndim == 2 else y.reshape(*y.shape[:2], math.prod(y.shape[2:]))


@Kernel
def cross_entropy(x, t, class_weight, ignore_label):
    """(-log softmax(x)[t] times the class's weight, log softmax(x) in at least 32 bits); 0 where the label is
    ignored."""
    log_y = _log_softmax(x, 1) if are_short(x, 1) else log_softmax(_wide(x), 1)
    index, counts = _chosen(log_y, t, ignore_label)
    try:
        loss = -_flat(log_y)[index]
    except IndexError:
        raise IndexError(f'labels are from {t.min()} to {t.max()}, but there are {x.shape[1]} classes') from None
    if class_weight is not None:
        loss *= class_weight[index[1]]
    if counts is not None:
        loss = backend.get_array_module(x).where(counts, loss, 0)  # which may be infinite
    return loss.reshape(t.shape).astype(x.dtype, copy=False), log_y


@Kernel
def cross_entropy_grad(gloss, log_y, t, class_weight, ignore_label):
    """The gradient of x: (softmax(x) - one-hot(t)) * gloss; `gloss` is a scalar or has the shape of t."""
    xp = backend.get_array_module(log_y)
    index, counts = _chosen(log_y, t, ignore_label)
    gx = _flat(xp.exp(log_y))
    gx[index] -= 1
    scale = gloss.reshape(index[1].shape) if gloss.ndim else gloss
    if class_weight is not None:
        scale = scale * class_weight[index[1]]
    if counts is not None:
        scale = scale * counts
    gx *= scale[:, None] if scale.ndim else scale
    return gx.reshape(log_y.shape) if gx.ndim > 2 else gx


@Kernel
def mean_loss(loss, t, ignore_label, count):
    """(sum of the losses / count, 1 / count), where a count of 0 is taken for 1.

    count: a number; None for that of the labels that are not to be ignored. 1 / count is an array then.
    """
    xp = backend.get_array_module(loss)
    if count is None:
        count = xp.maximum((t != ignore_label).sum(), 1)
        scale = xp.reciprocal(count.astype(np.result_type(loss.dtype, np.float32)))
    else:
        scale = 1.0 / max(count, 1)
    total = loss.sum(dtype='f' if loss.itemsize == 2 else None) * scale
    return xp.asarray(total, loss.dtype), scale
