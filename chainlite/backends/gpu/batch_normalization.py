"""Batch normalization; see cpu.batch_normalization for what the arguments are, and kernels/batch_normalization.cu."""

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import as_last, is_last, roll, unroll
from chainlite.backends.cpu.batch_normalization import (
    _Layout,
    batch_normalize,
    batch_statistics,
    moments,
    normalize,
    normalize_grad,
    normalize_then,
    rectified_normalize_grad,
)
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import THREADS, contiguous, function, index_type, is_float, launch

_MOST_PARTS = 64  # of a channel: what a block merges quickly
_BLOCKS = 1024  # enough to fill any device


def _takes(x, *arguments):
    return is_float(x, *[a for a in arguments if hasattr(a, 'dtype')])


class _Run:
    """The launches over arrays of one shape: arrays in the form (outer, channels, inner), and the geometry.

    Arrays that are channels last stay so, if the channels are the keys: then there is nothing inner. None stays None.
    """

    def __init__(self, axis, arrays, statistics):
        x, axis = arrays[0], tuple(axis)
        self.last = axis == (0, *range(2, x.ndim)) and is_last(x)
        if self.last:
            arrays, axis = [None if a is None else roll(as_last(a)) for a in arrays], tuple(range(x.ndim - 1))
        given = [a for a in arrays if a is not None]
        self.layout = layout = _Layout(given[0].shape, axis)
        self.arrays = [None if a is None else self._order(a.astype(x.dtype, copy=False)) for a in arrays]
        self.dtype = np.result_type(np.float32, *[a.dtype for a in (*given, *statistics)])  # of the computation
        across = layout.repeat == 1  # neighbouring elements are of neighbouring channels
        pack = 16 // x.dtype.itemsize
        if (layout.keys if across else layout.repeat) % pack or any(
            [a is not None and a.data.ptr % 16 for a in self.arrays]
        ):
            pack = 1
        if across:
            side_by_side = 32 if pack == 1 else 8  # at least 128 bytes of a pixel
            self.sizes = layout.keys // pack, 1, layout.count
        else:
            side_by_side = 1
            self.sizes = layout.keys, layout.repeat // pack, layout.count // pack
        self.types = index_type(x), side_by_side, pack
        blocks = -(-self.sizes[0] // side_by_side)
        workers = THREADS // side_by_side
        self.parts = max(1, min(_MOST_PARTS, _BLOCKS // blocks, self.sizes[2] // (4 * workers)))
        self.grid = blocks, self.parts

    def _order(self, a):
        (a,) = contiguous(a if self.layout.order is None else a.transpose(self.layout.order))
        return a

    def empty(self):
        """An array like the arrays, to be given back by `array`."""
        return cuda.cupy.empty(self.layout.shape, self.arrays[0].dtype)

    def array(self, y):
        """The array in the form that the arrays were given in."""
        y = self.layout.array(y)
        return unroll(y) if self.last else y

    def per_channel(self, *more):
        """An array for one number, or `more` numbers, of each channel."""
        return cuda.cupy.empty((*more, *self.layout.key_shape), self.dtype)

    def scales(self, *arrays):
        """gamma and beta: in the dtype of the arrays or of the computation."""
        kind = self.arrays[0].dtype
        if any([a.dtype != kind for a in arrays]):
            kind = self.dtype
        return contiguous(*[a.astype(kind, copy=False) for a in arrays])

    def numbers(self, *arrays):
        """Statistics: in the dtype of the computation."""
        return contiguous(*[a.astype(self.dtype, copy=False) for a in arrays])

    def __call__(self, name, *arguments, types=()):
        run = function(f'batch_normalization.{name}', self.arrays[0].dtype, *types, *self.types)
        arguments = [0 if a is None else a for a in (*self.arrays, *arguments)]
        run(self.grid, (THREADS,), (*arguments, *self.sizes))

    def moments(self):
        parts = self.per_channel(self.parts, 3)
        self('moments', parts, types=(self.dtype,))
        return parts

    def normalize_grad(self, gamma, mean, inv_std, fixed, with_masked):
        (gamma,) = self.scales(gamma)
        mean, inv_std = self.numbers(mean, inv_std)
        parts = self.per_channel(self.parts, 2)
        self('gradient_sums', mean, parts, types=(self.dtype,))
        gx, ggamma, gbeta = self.empty(), self.per_channel(), self.per_channel()
        masked = self.empty() if with_masked else None
        numbers = parts, self.parts, gamma, mean, inv_std, float(self.layout.count), bool(fixed)
        self('normalize_grad', *numbers, gx, ggamma, gbeta, masked, types=(gamma.dtype, self.dtype))
        return self.array(gx), ggamma, gbeta, None if masked is None else self.array(masked)


@moments.when(gpu, _takes)
def _(x, axis):
    run = _Run(axis, (x,), ())
    parts = run.moments()
    mean, var = run.per_channel(), run.per_channel()
    merge = function('batch_normalization.merge_moments', run.dtype, run.types[0])
    launch(merge, mean.size, parts, run.parts, mean, var)
    return mean, var


@batch_normalize.when(gpu, _takes)
def _(x, gamma, beta, axis, eps):
    run = _Run(axis, (x,), (gamma, beta))
    gamma, beta = run.scales(gamma, beta)
    parts = run.moments()
    y, mean, var = run.empty(), run.per_channel(), run.per_channel()
    numbers = parts, run.parts, gamma, beta, float(eps)
    run('batch_normalize', *numbers, y, mean, var, types=(gamma.dtype, run.dtype))
    return run.array(y), mean, var


@normalize.when(gpu, _takes)
def _(x, gamma, beta, mean, inv_std, axis):
    run = _Run(axis, (x,), (gamma, beta, mean, inv_std))
    gamma, beta = run.scales(gamma, beta)
    y = run.empty()
    run('normalize', gamma, beta, *run.numbers(mean, inv_std), y, types=(gamma.dtype, run.dtype))
    return run.array(y)


@normalize_grad.when(gpu, lambda gy, x, *numbers: _takes(gy, x, *numbers))
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    run = _Run(axis, (gy, x, None), (gamma, mean, inv_std))
    return run.normalize_grad(gamma, mean, inv_std, fixed, False)[:3]


# -- with what comes before and after ---------------------------------------------------------------------------------
_counters: dict = {}  # by device and stream: zeros, which the kernels leave as zeros


def _counter(size):
    stream = cuda.cupy.cuda.get_current_stream()
    if stream.is_capturing():  # memory of the graph's own, for it may run beside whatever comes later
        return cuda.cupy.zeros(size, 'I')
    key = cuda.cupy.cuda.runtime.getDevice(), stream.ptr
    if key not in _counters or _counters[key].size < size:
        _counters[key] = cuda.cupy.zeros(max(size, 4096), 'I')
    return _counters[key]


def _moves(running, gamma):
    """Whether the kernel can move these statistics: both alike, or None."""
    arrays = [a for a in running if a is not None]
    return is_float(*arrays) and all(
        [a.flags.c_contiguous and a.dtype == arrays[0].dtype and a.shape == gamma.shape for a in arrays]
    )


@batch_statistics.when(
    gpu, lambda x, gamma, beta, axis, eps, running, decay: _takes(x, gamma, beta) and _moves(running, gamma)
)
def _(x, gamma, beta, axis, eps, running, decay):
    run = _Run(axis, (x,), (gamma, beta))
    gamma, beta = run.scales(gamma, beta)
    count = run.layout.count
    numbers, parts = run.per_channel(6), run.per_channel(run.parts, 3) if run.parts > 1 else None
    kind = next((a.dtype for a in running if a is not None), run.dtype)
    moving = *running, float(decay), count / max(count - 1, 1)
    arguments = parts, _counter(run.grid[0]) if run.parts > 1 else None, gamma, beta, float(eps), numbers, *moving
    run('batch_statistics', *arguments, types=(gamma.dtype, run.dtype, kind))
    return tuple(numbers)


@normalize_then.when(gpu, lambda x, mean, scale, offset, axis, h, *_: _takes(x, mean) and (h is None or is_float(h)))
def _(x, mean, scale, offset, axis, h, rectify, of_batch, keep):
    run = _Run(axis, (x, h), (mean,))
    y = run.empty()
    run('normalize_then', *run.numbers(mean, scale, offset), bool(rectify), y, types=(run.dtype,))
    return run.array(y), None


@rectified_normalize_grad.when(gpu, lambda gy, y, kept, x, *numbers: _takes(gy, y, x, *numbers[:3]))
def _(gy, y, kept, x, gamma, mean, inv_std, axis, fixed, with_masked):
    run = _Run(axis, (gy, x, y), (gamma, mean, inv_std))
    return run.normalize_grad(gamma, mean, inv_std, fixed, with_masked)
