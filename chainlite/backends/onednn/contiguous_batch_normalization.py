"""Batch normalization of C-contiguous arrays (n, c, *dims) as they are; see cpu.batch_normalization.

oneDNN's own primitive is slow in this layout, and to convert an array takes as long as to normalize it; but there are
fast ones for sums and for arithmetic, see _by_channel.
"""

from math import prod

import numpy as np

from chainlite.backends._layout import as_contiguous
from chainlite.backends.cpu.batch_normalization import (
    batch_normalize,
    moments,
    normalize,
    normalize_grad,
    normalize_then,
    rectified_normalize_grad,
)
from chainlite.backends.cpu.relu import rectify_in_place
from chainlite.backends.onednn import _by_channel
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._by_channel import ADD, AFFINE, LONG, MUL, Blocks, chain, is_near_zero, products, sums
from chainlite.backends.onednn.relu import mask

_FEW = 1 << 3  # images
_SCALED = ((MUL, True),)
_AFFINE_PLUS = *AFFINE, (ADD, False)
_GRADIENT = *_AFFINE_PLUS, (MUL, True)


def is_taken(x, axis):
    """Whether these kernels take an array."""
    if not (2 < x.ndim <= 5 and axis == (0, *range(2, x.ndim)) and x.flags.c_contiguous):
        return False
    pixels = prod(x.shape[2:])
    return pixels >= LONG or pixels > 1 and len(x) >= _FEW


@moments.when(onednn, lambda x, axis: is_float32(x) and is_taken(x, axis))
def _(x, axis):
    return _by_channel.moments(x.reshape(-1), Blocks(x))


def _affine(x, mean, scale, offset, h=None, rectify=False):
    """(x - mean) * scale + offset, plus h, rectified."""
    y, blocks = np.empty_like(x), Blocks(x)
    mean, scale, offset = blocks.spread(mean, scale, offset)
    x, out, h = x.reshape(-1), y.reshape(-1), None if h is None else h.reshape(-1)
    for part, keys, shape in blocks:
        numbers = mean[keys], out[part], scale[keys], offset[keys]
        if h is None:
            chain(AFFINE, shape, x[part], *numbers)
        else:
            chain(_AFFINE_PLUS, shape, x[part], *numbers, h[part])
        if rectify:
            rectify_in_place(out[part])  # oneDNN's rectifier would turn NaN into 0
    return y


@batch_normalize.when(onednn, lambda x, gamma, beta, axis, eps: is_float32(x, gamma, beta) and is_taken(x, axis))
def _(x, gamma, beta, axis, eps):
    mean, var = moments(x, axis)
    return _affine(x, mean, gamma * (var + np.float32(eps)) ** -0.5, beta), mean, var


@normalize.when(
    onednn,
    lambda x, gamma, beta, mean, inv_std, axis: is_float32(x, gamma, beta, mean, inv_std) and is_taken(x, axis),
)
def _(x, gamma, beta, mean, inv_std, axis):
    return _affine(x, mean, gamma * inv_std, beta)


@normalize_then.when(
    onednn,
    lambda x, numbers, axis, h, *_: is_float32(x, numbers) and (h is None or is_float32(h)) and is_taken(x, axis),
)
def _(x, numbers, axis, h, rectify, of_batch, keep):
    return _affine(x, *numbers[3:], None if h is None else as_contiguous(h), rectify), None


@normalize_grad.when(
    onednn,
    lambda gy, x, gamma, mean, inv_std, axis, fixed: is_float32(gy, x, gamma, mean, inv_std) and is_taken(x, axis),
)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    return _gradients(as_contiguous(gy), x, gamma, mean, inv_std, fixed)


@rectified_normalize_grad.when(
    onednn,
    lambda gy, y, kept, x, gamma, numbers, axis, fixed, with_masked: (
        kept is None and is_float32(gy, y, x, gamma, numbers) and is_taken(x, axis)
    ),
)
def _(gy, y, kept, x, gamma, numbers, axis, fixed, with_masked):
    mean, _, inv_std, *_ = numbers
    masked = np.empty_like(x) if with_masked else None
    return *_gradients(as_contiguous(gy), x, gamma, mean, inv_std, fixed, as_contiguous(y), masked), masked


def _gradients(gy, x, gamma, mean, inv_std, fixed, y=None, masked=None):
    """`normalize_grad` of gy, or of gy where y > 0, which is written to `masked` if that is given."""
    gx, blocks = np.empty_like(x), Blocks(x)
    parts, scratch, (total, total_products) = list(blocks), blocks.scratch(), blocks.zeros(2)
    means, scale = blocks.spread(mean, gamma * inv_std)
    given, x, out = gy.reshape(-1), x.reshape(-1), gx.reshape(-1)
    gy = given if y is None else out if masked is None else masked.reshape(-1)
    near = is_near_zero(mean, inv_std**-2)
    for part, keys, shape in parts:
        if y is not None:
            mask(y.reshape(-1)[part], given[part], gy[part])
        total[keys] += sums(gy[part], shape)
        total_products[keys] += products(x[part], gy[part], shape, scratch, None if near else means[keys])
        if fixed:
            chain(_SCALED, shape, gy[part], scale[keys], out[part])
    gbeta = blocks.total(total)
    ggamma = (blocks.total(total_products) - (mean * gbeta if near else 0)) * inv_std
    if not fixed:
        slope, offset = blocks.spread(-ggamma * inv_std / blocks.count, -gbeta / blocks.count)
        for part, keys, shape in reversed(parts):
            numbers = means[keys], out[part], slope[keys], offset[keys], gy[part], scale[keys]
            chain(_GRADIENT, shape, x[part], *numbers)
    return gx, ggamma.astype(np.float32), gbeta.astype(np.float32)
