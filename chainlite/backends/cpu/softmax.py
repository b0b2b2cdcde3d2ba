"""Softmax and its logarithm, forward and backward.

Sixteen-bit input is computed in 32 bits. The maximum is taken off first, so that nothing overflows.
"""

import math

from chainlite import backend
from chainlite.backends._kernel import Kernel


def _wide(x):
    """float32 for sixteen bits, the array itself otherwise."""
    return x.astype('f') if x.dtype.itemsize == 2 else x


@Kernel
def softmax(x, axis):
    """exp(x - max) / sum(exp(x - max)) along `axis`."""
    xp = backend.get_array_module(x)
    y = _wide(x)
    y = y - y.max(axis=axis, keepdims=True)
    xp.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y.astype(x.dtype, copy=False)


@Kernel
def softmax_grad(y, gy, axis):
    """y * (gy - sum(y * gy))."""
    w = _wide(y)
    gx = w * _wide(gy)
    gx -= w * gx.sum(axis=axis, keepdims=True)
    return gx.astype(y.dtype, copy=False)


@Kernel
def log_softmax(x, axis):
    """x - max - log(sum(exp(x - max))) along `axis`."""
    xp = backend.get_array_module(x)
    y = _wide(x)
    y = y - y.max(axis=axis, keepdims=True)
    y -= xp.log(xp.exp(y).sum(axis=axis, keepdims=True))
    return y.astype(x.dtype, copy=False)


@Kernel
def log_softmax_grad(y, gy, axis):
    """gy - exp(y) * sum(gy)."""
    xp = backend.get_array_module(y)
    g = _wide(gy)
    gx = xp.exp(_wide(y))
    gx *= -g.sum(axis=axis, keepdims=True)
    gx += g
    return gx.astype(y.dtype, copy=False)


def _chosen(log_y, t, ignore_label):
    """Index of the label of each position, in an array (n, k) or (n, k, d); and which positions count (None: all)."""
    xp = backend.get_array_module(log_y)
    if t.ndim > 1:
        t = t.reshape(len(t), math.prod(t.shape[1:]))
    counts = None
    if ignore_label is not None:
        counts = t != ignore_label
        if counts.all():
            counts = None
        else:
            t = xp.where(counts, t, 0)
    if t.ndim == 1:
        return (xp.arange(len(t)), t), counts
    n, d = t.shape
    return (xp.arange(n)[:, None], t, xp.arange(d)), counts


@Kernel
def cross_entropy(x, t, class_weight, ignore_label):
    """(-log softmax(x)[t] times the class's weight, log softmax(x) in at least 32 bits); 0 where the label is
    ignored."""
    log_y = log_softmax(_wide(x), 1)
    index, counts = _chosen(log_y, t, ignore_label)
    try:
        loss = -log_y.reshape(*x.shape[:2], *index[1].shape[1:])[index]
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
    gx = xp.exp(log_y).reshape(*log_y.shape[:2], *index[1].shape[1:])
    gx[index] -= 1
    scale = gloss.reshape(index[1].shape) if gloss.ndim else gloss
    if class_weight is not None:
        scale = scale * class_weight[index[1]]
    if counts is not None:
        scale = scale * counts
    gx *= scale[:, None] if scale.ndim else scale
    return gx.reshape(log_y.shape)
