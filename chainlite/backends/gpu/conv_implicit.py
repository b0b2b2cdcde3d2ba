"""Convolutions on tensor cores, without columns, of 16-bit numbers and of TF32; see kernels/conv_implicit.cu.

The kernels read channels last. An array that is C-contiguous is turned first, which reads and writes it once; columns
would be written and read once for each offset of the filter, so turning is cheaper for every filter of more than one.
Filters of one offset are plain products and stay with cuBLAS, which needs neither. The result has the layout of the
input: the kernels write both.

Three channels, as of pictures, are filled up to four: half of a 16-byte unit, and a third more work.
"""

import functools
from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import is_last, roll
from chainlite.backends.cpu.conv import convolve, deconvolve, filter_grad
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import contiguous, function, launch
from chainlite.backends.gpu._transpose import channels_last, empty, turned
from chainlite.backends.gpu._windows import windows
from chainlite.configuration import config

BLOCK = 128  # threads, as in conv_implicit.cu
WORKSPACE = 128 << 20  # bytes of the parts of a filter's gradient
MOST = 1 << 31  # elements: the kernels number them in 32 bits
_STRIDES = np.dtype([('image', 'i4'), ('channel', 'i4'), ('pixel', 'i4')])


@functools.cache
def _device(number):
    """Whether a device has these instructions, and its number of multiprocessors."""
    device = cuda.cupy.cuda.Device(number)
    return int(device.compute_capability) >= 80, device.attributes['MultiProcessorCount']


def _unit(channels, dtype):
    """How many numbers one copy moves, for so many channels of a group."""
    return 16 // dtype.itemsize if channels % 8 == 0 or channels > 4 and channels % 4 else 4


def _filled(channels, dtype):
    """The number of channels with those that fill up the last unit."""
    unit = _unit(channels, dtype)
    return -(-channels // unit) * unit


def _takes_source(a, W, channels, groups):
    """Whether the arrays have the right dtype, their device the instructions, and groups whole units."""
    return (
        a.dtype == W.dtype
        and (a.dtype.char in 'eE' or a.dtype.char == 'f' and config.compute_mode == 'tf32')
        and 3 <= a.ndim <= 5
        and a.size > 0
        and 0 < W.size < MOST
        and isinstance(W, cuda.cupy.ndarray)
        and (groups == 1 or channels % 4 == 0)
        and _device(a.device.id)[0]
    )


def is_pointwise(ksize, stride, pad):
    """Whether a convolution is a product of matrices."""
    return prod(ksize) == prod(stride) == 1 and not any(pad)


def _pixels(x, groups):
    """The array channels last, with whole units in a group, aligned to 16 bytes; the channels of a group."""
    channels = x.shape[1] // groups
    filled = _filled(channels, x.dtype)
    if filled == channels and roll(x).flags.c_contiguous and not x.data.ptr % 16:
        return x, channels
    return channels_last(x, groups * filled), filled


@functools.lru_cache(1024)
def _strides(channels, pixels, last):
    """The struct `Strides` of an array (n, channels, pixels)."""
    steps = (1, channels) if last else (pixels, 1)
    return np.array((channels * pixels, *steps), _STRIDES)[()]


@functools.lru_cache(1024)
def _tile(rows, filters, batch, processors):
    """The tile of results that a block makes: the largest one with which every multiprocessor has work."""
    if filters <= 32:
        return 128, 32
    for bm, bn in ((128, 128), (128, 64)):
        if (bn == 64 or filters > 64) and -(-rows // bm) * -(-filters // bn) * batch >= processors:
            return bm, bn
    return 64, 64


def _parts(images, *arrays):
    """Slices of images in which no array has too many elements."""
    step = min([images, *[max(1, (MOST - 1) // max(1, a.size // len(a))) for a in arrays]])
    return [slice(i, min(i + step, images)) for i in range(0, images, step)]


def _run(x, W, b, y, window, groups, transposed):
    """Fills y, whose channels the filters (groups * filters, taps, channels) make from x (n, *dims, channels)."""
    filters, channels = y.shape[1] // groups, W.shape[-1]
    n, ndim = len(x), y.ndim - 2
    w = windows(*window)
    phases = [min(s, d) for s, d in zip(window[2], window[0])] if transposed else [1]
    rows = n * prod([-(-d // p) for d, p in zip(y.shape[2:], phases)]) if transposed else n * prod(y.shape[2:])
    batch = groups * prod(phases)
    bm, bn = _tile(rows, filters, batch, _device(x.device.id)[1])
    unit = _unit(channels, x.dtype)
    run = function('conv_implicit.implicit_gemm', x.dtype, y.dtype, bm, bn, unit, max(ndim, 2))
    last = not y.flags.c_contiguous
    grid = (-(-rows // bm) * -(-filters // bn), 1, batch)
    strides = _strides(y.shape[1], prod(y.shape[2:]), last)
    sizes = (int(transposed), n, groups, channels, filters, groups * channels)
    run(grid, (BLOCK,), (x, W, 0 if b is None else b, y, w, *sizes, strides))


def _results(source, W, b, shape, window, groups, transposed, dtype):
    y = empty(shape, source.dtype if dtype == source.dtype else np.dtype('f'), is_last(source))
    if b is not None:
        (b,) = contiguous(b.astype(source.dtype, copy=False))
    for part in _parts(len(source), source, y):
        x, _ = _pixels(source[part], groups)
        _run(x, W, b, y[part], window, groups, transposed)
    return y.astype(dtype, copy=False)


def _takes_convolution(x, W, b, stride, pad, dilate, groups, outs, dtype):
    return (
        _takes_source(x, W, W.shape[1], groups)
        and prod(outs) > 0
        and not (groups == 1 and is_pointwise(W.shape[2:], stride, pad))
    )


@convolve.when(gpu, _takes_convolution)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    m, c, *ksize = W.shape
    filled = _filled(c, x.dtype)
    as_it_is = filled == c and roll(W).flags.c_contiguous and not W.data.ptr % 16
    w = (roll(W) if as_it_is else channels_last(W, filled)).reshape(m, -1, filled)
    window = x.shape[2:], tuple(ksize), tuple(stride), tuple(pad), tuple(dilate), tuple(outs)
    return _results(x, w, b, (len(x), m, *outs), window, groups, 0, dtype)


def _takes_deconvolution(y, W, b, stride, pad, dilate, groups, dims, dtype):
    return (
        _takes_source(y, W, len(W) // groups, groups)
        and prod(dims) > 0
        and groups * prod(stride) < 1 << 16  # blocks along z
        and not (groups == 1 and is_pointwise(W.shape[2:], stride, pad))
    )


@deconvolve.when(gpu, _takes_deconvolution)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    m, c, *ksize = W.shape
    (W,) = contiguous(W)
    taps = prod(ksize)
    w = turned(W, (groups, m // groups, c * taps), _filled(m // groups, y.dtype)).reshape(groups * c, taps, -1)
    window = tuple(dims), tuple(ksize), tuple(stride), tuple(pad), tuple(dilate), y.shape[2:]
    return _results(y, w, b, (len(y), groups * c, *dims), window, groups, 1, dtype)


def _takes_filter_grad(x, gy, ksize, stride, pad, dilate, groups, dtype):
    return (
        _takes_source(x, gy, x.shape[1] // groups, groups)
        and (groups == 1 or gy.shape[1] // groups % 4 == 0)
        and not (groups == 1 and is_pointwise(ksize, stride, pad) and is_last(x) and is_last(gy))
    )


@functools.lru_cache(1024)
def _split(steps, filters, width, groups, dtype, processors):
    """The tile of filters and of their numbers, and how many steps along the pixels a block makes.

    The filters alone make few tiles: the pixels are split until there are two blocks for each multiprocessor, but not
    into parts so short that adding them up counts.
    """
    bm, bn = 128 if filters > 64 else 64, 128 if width > 64 and dtype.itemsize == 2 else 64
    tiles = -(-filters // bm) * -(-width // bn) * groups
    parts = min(
        -(-2 * processors // tiles), -(-steps // 8), WORKSPACE // (groups * filters * width * 4), 65535 // groups
    )
    return bm, bn, -(-steps // max(1, parts))


@filter_grad.when(gpu, _takes_filter_grad)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    c, m, taps = x.shape[1] // groups, gy.shape[1] // groups, prod(ksize)
    window = windows(x.shape[2:], tuple(ksize), tuple(stride), tuple(pad), tuple(dilate), gy.shape[2:])
    channels, filters = _filled(c, x.dtype), _filled(m, x.dtype)
    width, pixels = taps * channels, prod(gy.shape[2:])
    gW = cuda.cupy.empty((groups * m, c, *ksize), x.dtype if dtype == x.dtype else np.dtype('f'))
    slices = _parts(len(x), x, gy)
    step = 64 // x.itemsize  # pixels
    plans = [-(-(s.stop - s.start) * pixels // step) for s in slices]
    plans = [(n, *_split(n, filters, width, groups, x.dtype, _device(x.device.id)[1])) for n in plans]
    counts = [-(-n // length) for n, _, _, length in plans]
    parts = cuda.cupy.empty((sum(counts), groups * filters, width), 'f')
    begin = 0
    for part, count, (_, bm, bn, length) in zip(slices, counts, plans):
        (source, _), (g, _) = _pixels(x[part], groups), _pixels(gy[part], groups)
        units = _unit(filters, x.dtype), _unit(channels, x.dtype)
        run = function('conv_implicit.implicit_filter_grad', x.dtype, bm, bn, *units, max(len(ksize), 2))
        grid = (-(-filters // bm) * -(-width // bn), 1, groups * count)
        sizes = (len(source), groups, channels, filters, length)
        run(grid, (BLOCK,), (source, g, parts[begin : begin + count], window, *sizes))
        begin += count
    run = function('conv_implicit.sum_filter_parts', gW.dtype)
    launch(run, groups * m * width, parts, gW, len(parts), taps, channels, c, groups * filters * width)
    return gW.astype(dtype, copy=False)
