"""Normalization of groups of channels; see cpu.group_normalization for what the arguments are, and
kernels/group_normalization.cu."""

from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.group_normalization import group_normalize, group_normalize_grad
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import (
    THREADS,
    aligned,
    alike,
    function,
    index_type,
    is_float,
    launch,
    launch_rows,
    number_of_parts,
    pack_size,
)


def _takes(x, *rest):
    return is_float(x, *[a for a in rest if hasattr(a, 'dtype')]) and x[0].size < 1 << 31


def _types(x, *scales):
    """The dtypes of arrays, scales and computation; the scales in theirs."""
    dtype = np.result_type(np.float32, x.dtype, *[a.dtype for a in scales])
    kind = x.dtype if all([a.dtype == x.dtype for a in scales]) else dtype
    return (x.dtype, kind, dtype), aligned(*alike(kind, *scales))


def _sizes(x, groups):
    """Groups, channels of one, elements of a channel; elements of a group."""
    channels, size = x.shape[1] // groups, prod(x.shape[2:])
    return (groups, channels, size), channels * size


@group_normalize.when(gpu, _takes)
def _(x, gamma, beta, groups, eps):
    types, (gamma, beta) = _types(x, gamma, beta)
    (x,) = alike(x.dtype, x)
    sizes, length = _sizes(x, groups)
    y = cuda.cupy.empty(x.shape, x.dtype)
    mean, inv_std = cuda.cupy.empty((2, len(x) * groups), types[2])
    scales = gamma, beta, float(eps), mean, inv_std
    launch_rows('group_normalization.group_normalize', types, (x, y), length, *scales, *sizes)
    return y, mean, inv_std


@group_normalize_grad.when(gpu, _takes)
def _(gy, x, gamma, mean, inv_std, groups):
    gamma_dtype = gamma.dtype
    types, (gamma,) = _types(x, gamma)
    gy, x = alike(x.dtype, gy, x)
    mean, inv_std = alike(types[2], mean, inv_std)
    gx = cuda.cupy.empty(x.shape, x.dtype)
    sizes, length = _sizes(x, groups)
    scales = gamma, mean, inv_std
    launch_rows('group_normalization.group_normalize_grad', types, (gy, x, gx), length, *scales, *sizes)
    return gx, *_scale_grads(gy, x, mean, inv_std, sizes, gamma_dtype)


def _scale_grads(gy, x, mean, inv_std, sizes, dtype):
    """The gradients of gamma and beta, in `dtype`."""
    groups, channels, size = sizes
    pack = pack_size(size if size > 1 else channels, gy, x)
    columns, inner = (groups * channels, size // pack) if size > 1 else (groups * channels // pack, 1)
    side_by_side = 1 if size > 1 else 32
    blocks, count = -(-columns // side_by_side), len(x) * inner
    parts = number_of_parts(blocks, count, THREADS // side_by_side)
    sums = cuda.cupy.empty((parts, 2, groups * channels), mean.dtype)
    run = function('group_normalization.scale_sums', x.dtype, mean.dtype, index_type(x), side_by_side, pack)
    arguments = gy, x, mean, inv_std, sums, groups, channels, columns, inner, count
    run((blocks, parts), (THREADS,), arguments)
    ggamma, gbeta = cuda.cupy.empty(groups * channels, dtype), cuda.cupy.empty(groups * channels, dtype)
    merge = function('group_normalization.merge_scale_sums', sums.dtype, dtype)
    launch(merge, 2 * ggamma.size, sums, parts, ggamma, gbeta)
    return ggamma, gbeta
