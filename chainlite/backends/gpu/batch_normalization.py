"""Batch normalization; see cpu.batch_normalization for what the arguments are, and kernels/batch_normalization.cu."""

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.batch_normalization import (
    _Layout,
    batch_normalize,
    moments,
    normalize,
    normalize_grad,
)
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import THREADS, contiguous, function, index_type, is_float, launch

_MOST_PARTS = 64  # of a channel: what a block merges quickly
_BLOCKS = 1024  # enough to fill any device


def _takes(x, *arguments):
    return is_float(x, *[a for a in arguments if hasattr(a, 'dtype')])


class _Run:
    """The launches over arrays of one shape: arrays in the form (outer, channels, inner), and the geometry."""

    def __init__(self, axis, arrays, statistics):
        x = arrays[0]
        self.layout = layout = _Layout(x.shape, tuple(axis))
        self.arrays = contiguous(*[a.astype(x.dtype, copy=False) for a in map(self._order, arrays)])
        self.dtype = np.result_type(np.float32, *[a.dtype for a in (*arrays, *statistics)])  # of the computation
        self.side_by_side = 32 if layout.repeat == 1 else 1
        pack = 16 // x.dtype.itemsize
        if layout.repeat % pack or any([a.data.ptr % 16 for a in self.arrays]):
            pack = 1
        self.sizes = layout.keys, layout.repeat // pack, layout.count // pack
        self.types = index_type(x), self.side_by_side, pack
        blocks = -(-layout.keys // self.side_by_side)
        workers = THREADS // self.side_by_side
        self.parts = max(1, min(_MOST_PARTS, _BLOCKS // blocks, layout.count // pack // (4 * workers)))
        self.grid = blocks, self.parts

    def _order(self, a):
        return a if self.layout.order is None else a.transpose(self.layout.order)

    def empty(self):
        """An array like the arrays, to be given back by `layout.array`."""
        return cuda.cupy.empty(self.layout.shape, self.arrays[0].dtype)

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

    def __call__(self, name, *arguments, scale=None):
        x = self.arrays[0]
        types = (x.dtype, self.dtype) if scale is None else (x.dtype, scale.dtype, self.dtype)
        run = function(f'batch_normalization.{name}', *types, *self.types)
        run(self.grid, (THREADS,), (*self.arrays, *arguments, *self.sizes))

    def moments(self):
        parts = self.per_channel(self.parts, 3)
        self('moments', parts)
        return parts


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
    run('batch_normalize', parts, run.parts, gamma, beta, float(eps), y, mean, var, scale=gamma)
    return run.layout.array(y), mean, var


@normalize.when(gpu, _takes)
def _(x, gamma, beta, mean, inv_std, axis):
    run = _Run(axis, (x,), (gamma, beta, mean, inv_std))
    gamma, beta = run.scales(gamma, beta)
    y = run.empty()
    run('normalize', gamma, beta, *run.numbers(mean, inv_std), y, scale=gamma)
    return run.layout.array(y)


@normalize_grad.when(gpu, _takes)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    run = _Run(axis, (gy, x), (gamma, mean, inv_std))
    (gamma,) = run.scales(gamma)
    mean, inv_std = run.numbers(mean, inv_std)
    parts = run.per_channel(run.parts, 2)
    run('gradient_sums', mean, parts)
    gx, ggamma, gbeta = run.empty(), run.per_channel(), run.per_channel()
    count = float(run.layout.count)
    results = gx, ggamma, gbeta
    run('normalize_grad', parts, run.parts, gamma, mean, inv_std, count, bool(fixed), *results, scale=gamma)
    return run.layout.array(gx), ggamma, gbeta
