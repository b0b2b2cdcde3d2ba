"""Convolutions with few channels in the result, whose neighbouring pixels become channels of one.

oneDNN computes 16 channels at a time, so that of six channels most of the work is for nothing. But channels last,
two pixels of six channels lie in memory as one of twelve does: which sees a window that is one step longer, with a
filter that has zeros at one end for the one and at the other end for the other. What that costs in products is less
than what it saves.

    y[.., j, :] of x[.., s j : s j + k]  becomes  y[.., f j : f (j + 1), :] of x[.., s f j : s f j + k + s (f - 1)]
"""

import functools
from math import prod

import numpy as np

from chainlite.backends._kernel import Backend
from chainlite.backends._layout import as_last, is_last, roll, unroll
from chainlite.backends.cpu.conv import convolve, convolve_later, deconvolve, filter_grad
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._threads import get_num_threads

_folding = Backend('folding', onednn.accepts, onednn.enabled, preference=2)

_BLOCK, _MOST = 16, 8  # channels, pixels
_WIDEST = 14  # window for which oneDNN has fast code for the gradient of the filter
_PAYS = 0.7  # share of the products
_SPREAD = 12  # channels, for each, from which on adding up columns takes less time, see conv
_WORTH = 1 << 18  # products for each channel and thread


@functools.lru_cache(1024)
def _factor(threads, n, m, c, ksize, stride, dilate, groups, outs, more=1):
    """How many pixels are folded into one; 1 if that does not pay.

    more: how many times the products there are before folding.
    """
    if groups > 1 or dilate[-1] > 1 or n * c * prod(ksize) * prod(outs) < _WORTH * threads:
        return 1
    k, s = ksize[-1], stride[-1]
    wide = {f: k + s * (f - 1) for f in range(2, _MOST + 1) if outs[-1] % f == 0 and f * m <= _BLOCK}
    cost, f = min([(w / (k * f), f) for f, w in wide.items() if w <= _WIDEST], default=(1, 1))
    return f if cost * more <= _PAYS else 1


def _wider(sizes, f):
    return *sizes[:-1], sizes[-1] * f


def _finite(a):
    a = (roll(a) if is_last(a) else a).reshape(-1)
    return np.isfinite(np.dot(a, a))


def _takes(x, W, b, stride, pad, dilate, groups, outs, *_):
    return (
        2 * len(W) <= _BLOCK
        and is_float32(x, W)
        and _factor(get_num_threads(), len(x), *W.shape[:2], W.shape[2:], stride, dilate, groups, outs) > 1
    )


@convolve.when(_folding, _takes)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    (m, c, *_, k), s = W.shape, stride[-1]
    f = _factor(get_num_threads(), len(x), m, c, W.shape[2:], stride, dilate, groups, outs)
    folded = np.zeros((f, *W.shape[:-1], k + s * (f - 1)), W.dtype)
    for i in range(f):
        folded[i, ..., s * i : s * i + k] = W
    if b is not None:
        b = np.concatenate([b] * f)
    folded, x = folded.reshape(f * m, *folded.shape[2:]), as_last(x)
    y = convolve(x, folded, b, _wider(stride, f), pad, dilate, 1, (*outs[:-1], outs[-1] // f), dtype)
    if not _finite(x if x.size < y.size else y):
        return NotImplemented  # zeros times infinity give NaN next to where it belongs
    return unroll(roll(as_last(y)).reshape(len(x), *outs, m))


@convolve_later.when(_folding, _takes)
def _(x, W, b, stride, pad, dilate, groups, outs):
    return None


def _around(ksize, pad, dilate):
    """The padding with which a transposed convolution of stride 1 is a convolution, by the filter turned around."""
    return tuple([d * (k - 1) - p for k, p, d in zip(ksize, pad, dilate)])


@functools.lru_cache(1024)
def _turns(threads, n, m, c, ksize, stride, pad, dilate, groups, outs, sizes):
    """Whether a transposed convolution is best computed as such a convolution."""
    if max(stride) > 1 or c <= 3 and m >= threads * _SPREAD * c:
        return False
    around = _around(ksize, pad, dilate)
    if min(around) < 0 or sizes != tuple([o + a - p for o, a, p in zip(outs, around, pad)]):
        return False
    return _factor(threads, n, c, m, ksize, stride, dilate, groups, sizes, prod(sizes) / prod(outs)) > 1


@deconvolve.when(
    _folding,
    lambda y, W, b, stride, pad, dilate, groups, sizes, dtype: (
        2 * W.shape[1] <= _BLOCK
        and is_float32(y, W)
        and _turns(
            get_num_threads(), *y.shape[:2], W.shape[1], W.shape[2:], stride, pad, dilate, groups, y.shape[2:], sizes
        )
    ),
)
def _(y, W, b, stride, pad, dilate, groups, sizes, dtype):
    turned = W[(..., *[slice(None, None, -1)] * len(sizes))].swapaxes(0, 1)
    return convolve(y, turned, b, stride, _around(W.shape[2:], pad, dilate), dilate, 1, sizes, dtype)


@filter_grad.when(
    _folding,
    lambda x, gy, ksize, stride, pad, dilate, groups, dtype: (
        2 * gy.shape[1] <= _BLOCK
        and is_float32(x, gy)
        and _factor(get_num_threads(), *gy.shape[:2], x.shape[1], ksize, stride, dilate, groups, gy.shape[2:]) > 1
    ),
)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    (n, m, *outs, last), c, k, s = gy.shape, x.shape[1], ksize[-1], stride[-1]
    f = _factor(get_num_threads(), n, m, c, ksize, stride, dilate, groups, (*outs, last))
    gy = unroll(roll(as_last(gy)).reshape(n, *outs, last // f, f * m))
    wide = *ksize[:-1], k + s * (f - 1)
    folded = filter_grad(x, gy, wide, _wider(stride, f), pad, dilate, 1, dtype).reshape(f, m, c, *wide)
    return sum([folded[i, ..., s * i : s * i + k] for i in range(1, f)], folded[0, ..., :k])
