"""Normalization of groups of the channels of each sample; one group of all channels is layer normalization.

Shapes: x (n, c, *s), gamma and beta (c), mean and inv_std (n * groups). Sixteen-bit arrays are computed in 32 bits.
"""

import functools
from math import prod

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel

BLOCK = 1 << 16  # elements that are worked on at a time: they stay in the cache


def _views(x, groups, *channel_arrays):
    """x as (n, groups, elements of a group), and the arrays of channels as (groups, those)."""
    n, c = x.shape[:2]
    size = prod(x.shape[2:])
    dtype = x.dtype
    if dtype.itemsize == 2 or any([a.dtype != dtype for a in channel_arrays]):
        dtype = np.result_type(*[a.dtype for a in (x, *channel_arrays)], np.float32)
    x = x.astype(dtype, copy=False).reshape(n, groups, c // groups * size)
    return x, *[a.astype(dtype, copy=False).repeat(size).reshape(groups, -1) for a in channel_arrays]


def _blocks(x):
    step = max(1, BLOCK // max(1, prod(x.shape[1:])))
    return [slice(i, i + step) for i in range(0, len(x), step)]


def _mean(a):
    """Means along the last axis, by a matrix product: the fastest way to sum rows."""
    n, groups, size = a.shape
    weights = _weights(size, a.dtype.char)
    if type(a) is not np.ndarray:
        weights = backend.get_array_module(a).asarray(weights)
    return (a.reshape(n * groups, size) @ weights).reshape(n, groups, 1)


@functools.lru_cache(64)
def _weights(size, dtype):
    return np.full(size, 1 / max(size, 1), dtype)


@Kernel
def group_normalize(x, gamma, beta, groups, eps):
    """(y, mean, 1 / sqrt(var + eps))."""
    xp, dtype, shape = backend.get_array_module(x), x.dtype, x.shape
    x, gamma, beta = _views(x, groups, gamma, beta)
    y = xp.empty_like(x)
    mean, inv_std = xp.empty((2, *x.shape[:2], 1), x.dtype)
    for part in _blocks(x):
        mean[part] = _mean(x[part])
        d = xp.subtract(x[part], mean[part], out=y[part])
        inv_std[part] = (_mean(d * d) + x.dtype.type(eps)) ** -0.5
        d *= inv_std[part]
        d *= gamma
        d += beta
    return y.reshape(shape).astype(dtype, copy=False), mean.reshape(-1), inv_std.reshape(-1)


@Kernel
def group_normalize_grad(gy, x, gamma, mean, inv_std, groups):
    """(gx, ggamma, gbeta)."""
    xp, dtype, shape, channels = backend.get_array_module(x), x.dtype, x.shape, len(gamma)
    x, gamma = _views(x, groups, gamma)
    gy = gy.astype(x.dtype, copy=False).reshape(x.shape)
    mean, inv_std = mean.reshape(*x.shape[:2], 1), inv_std.reshape(*x.shape[:2], 1)
    gx = xp.empty_like(x)
    ggamma, gbeta = xp.zeros((2, *x.shape[1:]), x.dtype)
    for part in _blocks(x):
        x_hat = x[part] - mean[part]
        x_hat *= inv_std[part]
        gbeta += gy[part].sum(axis=0)
        ggamma += (gy[part] * x_hat).sum(axis=0)
        g = xp.multiply(gy[part], gamma, out=gx[part])
        slope = _mean(g * x_hat)
        g -= _mean(g)
        x_hat *= slope
        g -= x_hat
        g *= inv_std[part]
    ggamma, gbeta = [a.reshape(channels, -1).sum(axis=1) for a in (ggamma, gbeta)]
    return gx.reshape(shape).astype(dtype, copy=False), ggamma, gbeta
