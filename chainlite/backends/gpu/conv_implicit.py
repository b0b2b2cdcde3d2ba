"""Convolutions on tensor cores, without columns; see kernels/conv_implicit.cu.

Of float16, bfloat16 and float32. What float32 loses on its way through tensor cores is less than what sums of float32
are rounded by, but an infinite number makes NaN, not infinity; with `config.compute_mode = 'tf32'` the factors are
rounded to TF32. Without that, only devices take float32 whose tensor cores multiply TF32 several times as fast as the
other units float32: those of capability 8.0, 9.0, 10.0, not the smaller ones of their families. With
`config.use_cudnn_tensor_core = 'never'` all is left to columns and cuBLAS.

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
from chainlite.backends.cpu.conv import convolve, deconvolve, filter_grad
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import THREADS, blocks_for, constants, contiguous, function
from chainlite.backends.gpu._transpose import channels_last, empty, orders, turned
from chainlite.backends.gpu._windows import windows
from chainlite.backends.gpu.conv_pointwise import is_pointwise
from chainlite.configuration import config

BLOCK = 128  # threads, as in conv_implicit.cu
ROW = 64  # bytes of the inner dimension in a step, as there
WORKSPACE = 128 << 20  # bytes of the parts of a filter's gradient
MOST = 1 << 31  # elements: the kernels number them in 32 bits
_STRIDES = np.dtype([('image', 'i4'), ('channel', 'i4'), ('pixel', 'i4')])


@functools.cache
def _device(number):
    """The compute capability of a device, 80 for 8.0, and its number of multiprocessors."""
    device = cuda.cupy.cuda.Device(number)
    return int(device.compute_capability), device.attributes['MultiProcessorCount']


def _pieces(dtype):
    """How many numbers of a tensor core a number becomes, as in conv_implicit.cu."""
    return 2 if dtype.char == 'f' and config.compute_mode != 'tf32' else 1


def has_tensor_cores(x):
    """Whether convolutions of an array like this one are made here."""
    if x.dtype.char not in 'eEf' or not 3 <= x.ndim <= 5 or config.use_cudnn_tensor_core == 'never':
        return False
    capability, _ = _device(x.data.device_id)
    return capability >= 80 and (_pieces(x.dtype) == 1 or capability % 10 == 0)


def _takes(a, b, channels, groups):
    """Whether the arrays have the right dtype, their device the instructions, and groups whole units."""
    return (
        has_tensor_cores(a)
        and a.dtype == b.dtype
        and a.size > 0
        and 0 < b.size
        and isinstance(b, cuda.cupy.ndarray)
        and (groups == 1 or channels % 4 == 0)
    )


def _unit(channels, dtype):
    """How many numbers one copy moves, for so many channels of a group."""
    return 16 // dtype.itemsize if channels % 8 == 0 or channels > 4 and channels % 4 else 4


def _filled(channels, dtype):
    """The number of channels with those that fill up the last unit."""
    unit = _unit(channels, dtype)
    return -(-channels // unit) * unit


def _pixels(x, channels, ready=True):
    """The array, or a copy, channels last with so many channels, which begins at a multiple of 16 bytes.

    `ready` says that nothing but the address may be wrong.
    """
    if ready and not x.data.ptr % 16:
        return x
    if x._c_contiguous:
        return turned(x, (len(x), x.shape[1], prod(x.shape[2:])), channels)
    return channels_last(x, channels)


def _slices(n, most):
    """Slices of at most so many of n images."""
    step = max(1, most)
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


# ---- the convolution and its transpose


def _tile(rows, filters, batch, pieces, processors):
    """The tile of results that a block makes: the largest one with which every multiprocessor has work.

    The registers that hold numbers in two pieces, and sums of a few products, leave room for small tiles only.
    """
    if filters <= 32:
        return 128, 32
    if pieces == 2:
        return 64, 64
    for bm, bn in ((128, 128), (128, 64)):
        if (bn == 64 or filters > 64) and -(-rows // bm) * -(-filters // bn) * batch >= processors:
            return bm, bn
    return 64, 64


class _Plan:
    """What a call for arrays of certain shapes and dtypes comes to; finding out costs more than the call.

    x (n, c, *dims) and filters (groups, filters, taps, channels) give y (n, groups * filters, *outs) by the windows
    `sizes`, those of the convolution that this is, or (transposed) is the transpose of.
    """

    def __init__(self, x_shape, x_strides, filters, sizes, groups, transposed, dtype, pieces, result, device):
        n, c = x_shape[:2]
        dims, _, stride, _, _, outs = sizes
        outs = dims if transposed else outs
        channels = _filled(c // groups, dtype)
        self.width = groups * channels
        by_rows, last = orders(x_shape, x_strides, dtype.itemsize)
        self.ready, self.last = last and c == self.width, last and not by_rows
        self.shape, self.result = (n, groups * filters, *outs), result
        self.dtype = dtype if result == dtype else np.dtype('f')
        phases = [min(s, d) for s, d in zip(stride, dims)] if transposed else [1] * len(outs)
        self.images = _slices(n, (MOST - 1) // max(self.width * prod(x_shape[2:]), prod(self.shape[1:])))
        rows = self.images[0].stop * prod([-(-d // p) for d, p in zip(outs, phases)])
        batch = groups * prod(phases)
        bm, bn = _tile(rows, filters, batch, pieces, _device(device)[1])
        types = dtype, self.dtype, pieces, bm, bn, _unit(channels, dtype), max(len(outs), 2)
        self.run = function('conv_implicit.implicit_gemm', *types)
        self.grid = -(-rows // bm) * -(-filters // bn), 1, batch
        m, pixels = self.shape[1], prod(outs)
        strides = np.array((m * pixels, *((1, m) if self.last else (pixels, 1))), _STRIDES)[()]
        after = groups, channels, filters, self.width, strides
        self.numbers = [
            (windows(*sizes), *constants(int(transposed), part.stop - part.start, *after)) for part in self.images
        ]

    def __call__(self, x, W, b):
        y = empty(self.shape, self.dtype, self.last)
        if b is not None:
            (b,) = contiguous(b.astype(x.dtype, copy=False))
        whole = len(self.images) == 1
        for part, numbers in zip(self.images, self.numbers):
            source, out = (x, y) if whole else (x[part], y[part])
            self.run(self.grid, (BLOCK,), (_pixels(source, self.width, self.ready), W, b, out, *numbers))
        return y if self.dtype == self.result else y.astype(self.result)


_plan = functools.lru_cache(4096)(_Plan)


def _takes_convolution(x, W, b, stride, pad, dilate, groups, outs, dtype):
    return (
        _takes(x, W, W.shape[1], groups)
        and W.size < MOST
        and prod(outs) > 0
        and not (groups == 1 and is_pointwise(W.shape[2:], stride, pad))
    )


@convolve.when(gpu, _takes_convolution)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    m, c = W.shape[:2]
    sizes = x.shape[2:], W.shape[2:], stride, pad, dilate, outs
    types = x.dtype, _pieces(x.dtype), dtype
    plan = _plan(x.shape, x.strides, m // groups, sizes, groups, False, *types, x.data.device_id)
    channels = plan.width // groups
    return plan(x, _pixels(W, channels, c == channels and orders(W.shape, W.strides, W.itemsize)[1]), b)


def _takes_deconvolution(y, W, b, stride, pad, dilate, groups, dims, dtype):
    return (
        _takes(y, W, len(W) // groups, groups)
        and W.size < MOST
        and prod(dims) > 0
        and groups * prod(stride) < 1 << 16  # blocks along z
        and not (groups == 1 and is_pointwise(W.shape[2:], stride, pad))
    )


@deconvolve.when(gpu, _takes_deconvolution)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    m, c = W.shape[:2]
    ksize = W.shape[2:]
    sizes = dims, ksize, stride, pad, dilate, y.shape[2:]
    types = y.dtype, _pieces(y.dtype), dtype
    plan = _plan(y.shape, y.strides, c, sizes, groups, True, *types, y.data.device_id)
    (W,) = contiguous(W)
    return plan(y, turned(W, (groups, m // groups, c * prod(ksize)), plan.width // groups), b)


# ---- the gradient of the filter


def _split(steps, filters, width, groups, dtype, pieces, processors):
    """The tile of filters and of their numbers, and how many steps along the pixels a block makes.

    The filters alone make few tiles: the pixels are split until there are two blocks for each multiprocessor, but not
    into parts so short that adding them up counts.
    """
    bm, bn = 128 if filters > 64 and pieces == 1 else 64, 128 if width > 64 and dtype.itemsize == 2 else 64
    tiles = -(-filters // bm) * -(-width // bn) * groups
    room = WORKSPACE // (groups * filters * width * 4)
    parts = min(-(-2 * processors // tiles), -(-steps // 8), room, 65535 // groups)
    return bm, bn, -(-steps // max(1, parts))


class _FilterPlan:
    """The same for the gradient of filters (groups * m, c, *ksize), from x (n, groups * c, *dims) and gy."""

    def __init__(self, x_shape, x_strides, gy_shape, gy_strides, sizes, groups, dtype, pieces, result, device):
        n, ksize = x_shape[0], sizes[1]
        c, m, taps = x_shape[1] // groups, gy_shape[1] // groups, prod(ksize)
        channels, filters = _filled(c, dtype), _filled(m, dtype)
        width, pixels = taps * channels, prod(gy_shape[2:])
        self.shape, self.result = (groups * m, c, *ksize), result
        self.dtype = dtype if result == dtype else np.dtype('f')
        self.channels, self.filters = groups * channels, groups * filters
        self.x_ready = c == channels and orders(x_shape, x_strides, dtype.itemsize)[1]
        self.gy_ready = m == filters and orders(gy_shape, gy_strides, dtype.itemsize)[1]
        self.images = _slices(n, (MOST - 1) // max(self.channels * prod(x_shape[2:]), self.filters * pixels))
        steps = -(-self.images[0].stop * pixels // (ROW // dtype.itemsize))
        bm, bn, length = _split(steps, filters, width, groups, dtype, pieces, _device(device)[1])
        self.each = -(-steps // length)  # parts of a slice of images
        self.parts = len(self.images) * self.each, self.filters, width
        units = _unit(filters, dtype), _unit(channels, dtype)
        types = dtype, pieces, bm, bn, *units, max(len(ksize), 2)
        self.run = function('conv_implicit.implicit_filter_grad', *types)
        self.grid = -(-filters // bm) * -(-width // bn), 1, groups * self.each
        self.numbers = [
            (windows(*sizes), *constants(part.stop - part.start, groups, channels, filters, length))
            for part in self.images
        ]
        self.sum, count = function('conv_implicit.sum_filter_parts', self.dtype), groups * m * width
        self.blocks = blocks_for(count)
        self.of_sum = constants(self.parts[0], taps, channels, c, self.filters * width, count)

    def __call__(self, x, gy):
        gW, parts = cuda.cupy.ndarray(self.shape, self.dtype), cuda.cupy.ndarray(self.parts, 'f')
        whole = len(self.images) == 1
        for i, (images, numbers) in enumerate(zip(self.images, self.numbers)):
            source = _pixels(x if whole else x[images], self.channels, self.x_ready)
            g = _pixels(gy if whole else gy[images], self.filters, self.gy_ready)
            out = parts if whole else parts[i * self.each :]
            self.run(self.grid, (BLOCK,), (source, g, out, *numbers))
        self.sum(self.blocks, (THREADS,), (parts, gW, *self.of_sum))
        return gW if self.dtype == self.result else gW.astype(self.result)


_filter_plan = functools.lru_cache(4096)(_FilterPlan)


def _takes_filter_grad(x, gy, ksize, stride, pad, dilate, groups, dtype):
    return _takes(x, gy, x.shape[1] // groups, groups) and (groups == 1 or gy.shape[1] // groups % 4 == 0)


@filter_grad.when(gpu, _takes_filter_grad)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    sizes = x.shape[2:], ksize, stride, pad, dilate, gy.shape[2:]
    layouts = x.shape, x.strides, gy.shape, gy.strides
    return _filter_plan(*layouts, sizes, groups, x.dtype, _pieces(x.dtype), dtype, x.data.device_id)(x, gy)
