"""Batch normalization; see cpu.batch_normalization for what the arguments are, and kernels/batch_normalization.cu."""

import functools
import threading
from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import as_last
from chainlite.backends.cpu.batch_normalization import (
    _Layout,
    batch_normalize,
    batch_statistics,
    fixed_statistics,
    moments,
    normalize,
    normalize_grad,
    normalize_then,
    rectified_normalize_grad,
)
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import THREADS, alike, constants, function, index_type_of, is_float, launch
from chainlite.backends.gpu._transpose import orders, strides_of

_MOST_PARTS = 64  # of a channel: what a block merges quickly
_BLOCKS = 1024  # enough to fill any device


class _Plan:
    """What the launches over arrays of a certain shape, layout and dtype come to; finding out costs more than a launch.

    The kernels see (outer, channels, inner). Arrays that are channels last stay so, if the channels are the keys: then
    there is nothing inner. Others are read in row order, or with their axes moved so that the keys are neighbours.

    Args:
        shape, strides: of the first array, which all others are made like.
        axis: tuple of the axes that are not keys.
        dtype: of the first array.
        others: dtypes of what else is computed with.
    """

    def __init__(self, shape, strides, axis, dtype, *others):
        ndim = len(shape)
        self.shape, self.dtype = shape, dtype
        self.wide = np.result_type(np.float32, dtype, *others)  # of the computation
        by_rows, last = orders(shape, strides, dtype.itemsize)
        self.last = last and not by_rows and axis == (0, *range(2, ndim))
        if self.last:
            order, axis = (0, *range(2, ndim), 1), tuple(range(ndim - 1))
        else:
            order = tuple(range(ndim))
        layout = _Layout(tuple([shape[i] for i in order]), axis)
        self.order = layout.order or order
        self.strides, self.size = strides_of(shape, self.order, dtype.itemsize)
        self.key_shape, self.row, self.count = layout.key_shape, layout.keys * self.wide.itemsize, layout.count
        across = layout.repeat == 1  # neighbouring elements are of neighbouring channels
        pack = 16 // dtype.itemsize
        if (layout.keys if across else layout.repeat) % pack:
            pack = 1
        if across:
            side_by_side = 32 if pack == 1 else 8  # at least 128 bytes of a pixel
            self.sizes = layout.keys // pack, 1, layout.count
        else:
            side_by_side = 1
            self.sizes = layout.keys, layout.repeat // pack, layout.count // pack
        self.types = index_type_of(prod(shape)), side_by_side, pack
        blocks = -(-self.sizes[0] // side_by_side)
        workers = THREADS // side_by_side
        self.parts = max(1, min(_MOST_PARTS, _BLOCKS // blocks, self.sizes[2] // (4 * workers)))
        self.grid = blocks, self.parts
        self.constants = constants(*self.sizes)
        self.flags = constants(False, True)
        self.n_parts, self.elements, self.unbias = constants(
            self.parts, float(self.count), self.count / max(self.count - 1, 1)
        )

    def ready(self, a):
        """The array, or a copy, as the kernels read it: it begins at a multiple of 16 bytes."""
        if a.strides == self.strides and a.dtype == self.dtype and not a.data.ptr % 16:
            return a
        a = a.astype(self.dtype, copy=False)
        a = (as_last(a) if self.last else a).transpose(self.order)
        return a if a._c_contiguous and not a.data.ptr % 16 else a.copy()

    def new(self):
        """An array like the arrays."""
        return cuda.cupy.ndarray(self.shape, self.dtype, cuda.cupy.cuda.alloc(self.size), self.strides)

    def per_channel(self):
        """An array for one number of each channel."""
        return cuda.cupy.ndarray(self.key_shape, self.wide)

    def scratch(self, count):
        """Memory for so many numbers of each part of each channel."""
        return cuda.cupy.cuda.alloc(self.parts * count * self.row)

    def scales(self, *arrays):
        """gamma and beta: in the dtype of the arrays or of the computation."""
        return alike(self.dtype if all([a.dtype == self.dtype for a in arrays]) else self.wide, *arrays)

    def run(self, name, types, *arguments):
        """Runs a kernel, for arguments before the sizes."""
        run = function(name, self.dtype, *types, *self.types)
        run(self.grid, (THREADS,), (*arguments, *self.constants))

    def moments(self, x):
        parts = self.scratch(3)
        self.run('batch_normalization.moments', (self.wide,), x, parts)
        return parts

    def normalize_grad(self, arrays, gamma, mean, inv_std, fixed, with_masked):
        """(gx, ggamma, gbeta, masked) for the arrays (gy, x, y), as the kernels read them; y may be None."""
        (gamma,) = self.scales(gamma)
        parts = self.scratch(2)
        self.run('batch_normalization.gradient_sums', (self.wide,), *arrays, mean, parts)
        gx, ggamma, gbeta = self.new(), self.per_channel(), self.per_channel()
        masked = self.new() if with_masked else None
        numbers = parts, self.n_parts, gamma, mean, inv_std, self.elements, self.flags[fixed]
        types = gamma.dtype, self.wide
        self.run('batch_normalization.normalize_grad', types, *arrays, *numbers, gx, ggamma, gbeta, masked)
        return gx, ggamma, gbeta, masked


@functools.lru_cache(4096)
def _plan(shape, strides, axis, dtype, *others):
    """The plan, or None where the kernels do not take such arrays."""
    takes = prod(shape) and all([kind.char in 'eEfd' for kind in (dtype, *others)])
    return _Plan(shape, strides, axis, dtype, *others) if takes else None


@moments.when(gpu)
def _(x, axis):
    plan = _plan(x.shape, x.strides, axis, x.dtype)
    if plan is None:
        return NotImplemented
    parts = plan.moments(plan.ready(x))
    mean, var = plan.per_channel(), plan.per_channel()
    merge = function('batch_normalization.merge_moments', plan.wide, plan.types[0])
    launch(merge, mean.size, parts, plan.parts, mean, var)
    return mean, var


@batch_normalize.when(gpu)
def _(x, gamma, beta, axis, eps):
    plan = _plan(x.shape, x.strides, axis, x.dtype, gamma.dtype, beta.dtype)
    if plan is None:
        return NotImplemented
    x, (gamma, beta) = plan.ready(x), plan.scales(gamma, beta)
    parts = plan.moments(x)
    y, mean, var = plan.new(), plan.per_channel(), plan.per_channel()
    numbers = parts, plan.n_parts, gamma, beta, float(eps)
    plan.run('batch_normalization.batch_normalize', (gamma.dtype, plan.wide), x, *numbers, y, mean, var)
    return y, mean, var


@normalize.when(gpu)
def _(x, gamma, beta, mean, inv_std, axis):
    plan = _plan(x.shape, x.strides, axis, x.dtype, gamma.dtype, beta.dtype, mean.dtype, inv_std.dtype)
    if plan is None:
        return NotImplemented
    y = plan.new()
    gamma, beta = plan.scales(gamma, beta)
    arguments = plan.ready(x), gamma, beta, *alike(plan.wide, mean, inv_std), y
    plan.run('batch_normalization.normalize', (gamma.dtype, plan.wide), *arguments)
    return y


@normalize_grad.when(gpu)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    plan = _plan(gy.shape, gy.strides, axis, gy.dtype, x.dtype, gamma.dtype, mean.dtype, inv_std.dtype)
    if plan is None:
        return NotImplemented
    arrays = plan.ready(gy), plan.ready(x), None
    return plan.normalize_grad(arrays, gamma, *alike(plan.wide, mean, inv_std), fixed, False)[:3]


# -- with what comes before and after ---------------------------------------------------------------------------------
class _Kept(threading.local):
    """By device and stream of this thread: what `batch_statistics` wants while it runs, which fits the largest yet."""

    def __init__(self):
        self.memory = {}


_kept = _Kept()


def _parts_and_counters(plan):
    """Memory for the moments of all parts, and a counter for each block along x: zero before and after a launch."""
    stream = cuda.cupy.cuda.get_current_stream()
    if stream.is_capturing():  # memory of the graph's own, for it may run beside whatever comes later
        return plan.scratch(3), cuda.cupy.zeros(plan.grid[0], 'I')
    key = cuda.cupy.cuda.get_device_id(), stream.ptr
    kept = _kept.memory.get(key)
    size, count = plan.parts * 3 * plan.row, plan.grid[0]
    if kept is None or kept[0].size < size or kept[1].size < count:
        least = (1 << 20, 1 << 12) if kept is None else [a.size for a in kept]
        kept = cuda.cupy.empty(max(size, least[0]), 'B'), cuda.cupy.zeros(max(count, least[1]), 'I')
        _kept.memory[key] = kept
    return kept


def _moved(running, gamma, default):
    """The dtype of the statistics that the kernel can move: both are alike, or None. None if it cannot."""
    kind = None
    for a in running:
        if a is None:
            continue
        if not (is_float(a) and a._c_contiguous and a.shape == gamma.shape and kind in (None, a.dtype)):
            return None
        kind = a.dtype
    return default if kind is None else kind


@batch_statistics.when(gpu)
def _(x, gamma, beta, axis, eps, running, decay):
    plan = _plan(x.shape, x.strides, axis, x.dtype, gamma.dtype, beta.dtype)
    kind = plan and _moved(running, gamma, plan.wide)
    if kind is None:
        return NotImplemented
    gamma, beta = plan.scales(gamma, beta)
    parts, counters = _parts_and_counters(plan) if plan.parts > 1 else (None, None)
    numbers = cuda.cupy.ndarray((6, *plan.key_shape), plan.wide)
    arguments = parts, counters, gamma, beta, float(eps), numbers, *running, float(decay), plan.unbias
    plan.run('batch_normalization.batch_statistics', (gamma.dtype, plan.wide, kind), plan.ready(x), *arguments)
    return numbers


@fixed_statistics.when(gpu, lambda *arrays_eps_dtype: is_float(*arrays_eps_dtype[:4]))
def _(gamma, beta, mean, var, eps, dtype):
    arrays = gamma, beta, mean, var
    dtype = np.result_type(np.float32, dtype, *[a.dtype for a in arrays])
    kind = gamma.dtype if all([a.dtype == gamma.dtype for a in arrays]) else dtype
    numbers = cuda.cupy.ndarray((6, *mean.shape), dtype)
    run = function('batch_normalization.fixed_statistics', kind, dtype, index_type_of(numbers.size))
    launch(run, mean.size, *alike(kind, *arrays), float(eps), numbers)
    return numbers


@normalize_then.when(gpu)
def _(x, numbers, axis, h, rectify, of_batch, keep):
    plan = _plan(x.shape, x.strides, axis, x.dtype, numbers.dtype, *(() if h is None else (h.dtype,)))
    if plan is None:
        return NotImplemented
    (numbers,) = alike(plan.wide, numbers)
    y = plan.new()
    arguments = plan.ready(x), None if h is None else plan.ready(h), numbers, plan.flags[rectify], y
    plan.run('batch_normalization.normalize_then', (plan.wide,), *arguments)
    return y, None


@rectified_normalize_grad.when(gpu)
def _(gy, y, kept, x, gamma, numbers, axis, fixed, with_masked):
    plan = _plan(gy.shape, gy.strides, axis, gy.dtype, x.dtype, y.dtype, gamma.dtype, numbers.dtype)
    if plan is None:
        return NotImplemented
    (numbers,) = alike(plan.wide, numbers)
    arrays, inv_std = (plan.ready(gy), plan.ready(x), plan.ready(y)), numbers.data + 2 * plan.row
    return plan.normalize_grad(arrays, gamma, numbers, inv_std, fixed, with_masked)
