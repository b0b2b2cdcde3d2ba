"""Convolutions of each channel by itself; see kernels/conv_depthwise.cu."""

from math import prod

from chainlite.backends import cuda
from chainlite.backends._layout import is_last
from chainlite.backends.cpu.conv import compute_dtype, convolve, deconvolve, filter_grad
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import THREADS, contiguous, function, index_type, is_float, launch
from chainlite.backends.gpu._transpose import dense, empty, turned
from chainlite.backends.gpu._windows import windows

_BLOCKS = 1024  # to split the pixels into: enough for any device


def _takes(a, b, groups):
    return groups > 1 and a.dtype == b.dtype and is_float(a, b) and 3 <= a.ndim <= 5


def _run(name, source, W, b, shape, window, multiplier, dtype):
    """The array of this shape (n, channels, *sizes) that a kernel makes."""
    last = is_last(source)
    source = dense(source, last)
    _, channels, *sizes = shape
    y = empty(shape, source.dtype, last)
    if not y.size:
        return y.astype(dtype, copy=False)
    (W,) = contiguous(W)
    W = turned(W, (1, len(W), prod(W.shape[2:])))
    if b is not None:
        (b,) = contiguous(b.astype(y.dtype, copy=False))
    unit = 16 // y.itemsize
    unit = unit if last and multiplier == 1 and channels % unit == 0 else 1
    run = function(f'conv_depthwise.{name}', y.dtype, index_type(source, y), len(sizes), unit, last)
    launch(run, y.size // unit, source, W, b, y, windows(*window), W.shape[2], multiplier)
    return y.astype(dtype, copy=False)


@convolve.when(gpu, lambda x, W, b, stride, pad, dilate, groups, *_: groups == x.shape[1] and _takes(x, W, groups))
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    window = x.shape[2:], W.shape[2:], tuple(stride), tuple(pad), tuple(dilate), tuple(outs)
    return _run('depthwise', x, W, b, (len(x), len(W), *outs), window, len(W) // groups, dtype)


@deconvolve.when(gpu, lambda y, W, b, stride, pad, dilate, groups, *_: W.shape[1] == 1 and _takes(y, W, groups))
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    window = tuple(dims), W.shape[2:], tuple(stride), tuple(pad), tuple(dilate), y.shape[2:]
    return _run('depthwise_transposed', y, W, b, (len(y), groups, *dims), window, len(W) // groups, dtype)


@filter_grad.when(gpu, lambda x, gy, k, stride, pad, dilate, groups, *_: groups == x.shape[1] and _takes(x, gy, groups))
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    last = is_last(x)
    x, gy = dense(x, last), dense(gy, last)
    m, pixels = gy.shape[1], gy.size // gy.shape[1]
    channels, lines = (32, THREADS // 32) if last else (1, THREADS)  # of a block
    blocks = -(-m // channels)
    parts = max(1, min(_BLOCKS // blocks, pixels // (8 * lines)))
    gW = cuda.cupy.empty((parts, m, 1, *ksize), compute_dtype(x))
    run = function('conv_depthwise.depthwise_filter_grad', x.dtype, index_type(x, gy), len(ksize), last)
    window = windows(x.shape[2:], tuple(ksize), tuple(stride), tuple(pad), tuple(dilate), gy.shape[2:])
    run((blocks, parts), (THREADS,), (x, gy, gW, window, m, m // groups, len(x)))
    gW = gW.sum(0) if parts > 1 else gW[0]
    return gW.astype(dtype, copy=False)
