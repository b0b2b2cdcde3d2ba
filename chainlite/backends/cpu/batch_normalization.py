"""Batch normalization: y = gamma (x - mean) / sqrt(var + eps) + beta, with the mean and variance of x over the axes
`axis`.

gamma, beta, mean and var have the shape of the other axes, the keys. Sixteen-bit arrays are computed in 32 bits; what
has the shape of the keys is given back in the dtype of the computation.
"""

import functools
from math import prod

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel
from chainlite.backends.cpu import numpy_backend
from chainlite.backends.cpu.relu import rectify_in_place, relu_grad

CHUNK = 1 << 15  # elements of one sample, and
BLOCK = 1 << 16  # of some samples, that are worked on at a time: they stay in the cache
_FLOAT32 = np.dtype('f')
_ALL_FLOAT32 = (_FLOAT32,) * 5


def _wide(*arrays):
    """The arrays in the widest of their dtypes, at least float32."""
    if all([a.dtype == np.float32 for a in arrays]):
        return arrays
    dtype = np.result_type(*[a.dtype for a in arrays], np.float32)
    return [a.astype(dtype, copy=False) for a in arrays]


def _expander(x, axis):
    return tuple([None if i in axis else slice(None) for i in range(x.ndim)])


# ---- references -----------------------------------------------------------------------------------------------------


@Kernel
def moments(x, axis):
    """(mean, var); zeros for an empty batch."""
    (x,) = _wide(x)
    if not x.size:
        empty = x.sum(axis=axis)
        return empty, empty
    return x.mean(axis=axis), x.var(axis=axis)


@Kernel
def prepared(x, axis):
    """The array in a layout that the others take as it is: itself, or a copy."""
    return x


@Kernel
def batch_normalize(x, gamma, beta, axis, eps):
    """(y, mean, var)."""
    dtype = x.dtype
    x, gamma, beta = _wide(x, gamma, beta)
    mean, var = moments.reference(x, axis)
    y = normalize.reference(x, gamma, beta, mean, (var + eps) ** -0.5, axis)
    return y.astype(dtype, copy=False), mean, var


@Kernel
def normalize(x, gamma, beta, mean, inv_std, axis):
    """y, for a mean and 1 / sqrt(var + eps) that are known."""
    dtype, at = x.dtype, _expander(x, axis)
    x, gamma, beta, mean, inv_std = _wide(x, gamma, beta, mean, inv_std)
    return ((x - mean[at]) * (gamma * inv_std)[at] + beta[at]).astype(dtype, copy=False)


@Kernel
def normalize_grad(gy, x, gamma, mean, inv_std, axis, fixed):
    """(gx, ggamma, gbeta); `fixed` if mean and inv_std do not depend on x."""
    dtype, at = gy.dtype, _expander(gy, axis)
    gy, x, gamma, mean, inv_std = _wide(gy, x, gamma, mean, inv_std)
    gbeta = gy.sum(axis=axis)
    x_hat = (x - mean[at]) * inv_std[at]
    ggamma = (gy * x_hat).sum(axis=axis)
    gx = gy if fixed else gy - (x_hat * ggamma[at] + gbeta[at]) / (x.size / gamma.size)
    return ((gamma * inv_std)[at] * gx).astype(dtype, copy=False), ggamma, gbeta


@Kernel
def normalize_then(x, numbers, axis, h, rectify, of_batch, keep):
    """(x - mean) * scale + offset, plus h unless that is None, rectified if `rectify`; and what an implementation of
    `rectified_normalize_grad` wants to know of it if `keep`, or None.

    numbers: what `batch_statistics` or `fixed_statistics` gave. `of_batch`: mean is that of x, hence finite only if x
    is.
    """
    dtype, at = x.dtype, _expander(x, axis)
    mean, scale, offset = numbers[3:]
    y = (x.astype(mean.dtype, copy=False) - mean[at]) * scale[at] + offset[at]
    y = y if h is None else y + h
    if rectify:
        y = backend.get_array_module(y).maximum(y, 0)
    return y.astype(dtype, copy=False), None


@Kernel
def rectified_normalize_grad(gy, y, kept, x, gamma, numbers, axis, fixed, with_masked):
    """`normalize_grad` of gy where y > 0, and that gradient (None unless `with_masked`).

    numbers: what `batch_statistics` or `fixed_statistics` gave. y and kept are what `normalize_then` gave; kept is None
    where y has been seen since.
    """
    masked = relu_grad(y, gy)
    mean, _, inv_std, *_ = numbers
    return *normalize_grad(masked, x, gamma, mean, inv_std, axis, fixed), masked if with_masked else None


@Kernel
def batch_statistics(x, gamma, beta, axis, eps, running, decay):
    """mean, var, inv_std of x, and mean, scale, offset that normalize it: gamma * inv_std and beta.

    They are the rows of one new array (6, *keys), in the dtype to compute in: less to make than six arrays, and to
    hand over to another kernel.

    `running` is the pair of the mean and the variance (without bias) to be moved towards these, None where there is
    none.
    """
    mean, var = moments(x, axis)
    numbers = fixed_statistics.reference(gamma, beta, mean, var, eps, mean.dtype)
    move_statistics(running, *numbers[:2], decay, x.size // max(gamma.size, 1))
    return numbers


@Kernel
def fixed_statistics(gamma, beta, mean, var, eps, dtype):
    """The same for a mean and a variance that are given, in float32, `dtype` or that of the arrays, whatever is the
    widest."""
    dtypes = dtype, gamma.dtype, beta.dtype, mean.dtype, var.dtype
    dtype = _FLOAT32 if dtypes == _ALL_FLOAT32 else np.result_type(_FLOAT32, *dtypes)
    numbers = backend.get_array_module(mean).empty((6, *mean.shape), dtype)
    numbers[0] = numbers[3] = mean
    numbers[1] = var
    numbers[2] = inv_std = (numbers[1] + dtype.type(eps)) ** -0.5
    numbers[4] = gamma * inv_std
    numbers[5] = beta
    return numbers


def move_statistics(running, mean, var, decay, count):
    """Moves the running mean and variance towards those of a batch of `count` elements per key; the variance without
    bias."""
    unbiased = var * (count / max(count - 1, 1))
    for kept, value in zip(running, (mean, unbiased)):
        if kept is not None and count:
            kept *= decay
            kept += ((1 - decay) * value).astype(kept.dtype, copy=False)


# ---- NumPy ----------------------------------------------------------------------------------------------------------


@functools.lru_cache(1024)
class _Layout:
    """An array of shape `shape` seen as a matrix of samples, each with C keys of B elements; walked through in tiles
    that fit the cache.

    Numbers for each key are repeated B times, so that all operations run along the whole rows.
    """

    def __init__(self, shape, axis):
        keys = [i for i in range(len(shape)) if i not in axis]
        self.order = None
        if keys and keys[-1] - keys[0] >= len(keys):  # keys that are not neighbours: bring them together
            self.order = (*keys, *axis)
        first, last = (keys[0], keys[-1] + 1) if keys and not self.order else (0, len(keys))
        self.shape = tuple([shape[i] for i in self.order]) if self.order else shape
        self.key_shape = self.shape[first:last]
        self.keys, self.repeat = prod(self.key_shape), prod(self.shape[last:])
        self.samples = prod(self.shape[:first])
        self.count = self.samples * self.repeat  # elements for each key
        self.tiles = list(self._tiles())

    def matrix(self, x):
        x = x if self.order is None else x.transpose(self.order)
        return x.reshape(self.samples, self.keys * self.repeat)

    def array(self, matrix):
        x = matrix.reshape(self.shape)
        return x if self.order is None else x.transpose(np.argsort(self.order))

    def spread(self, a):
        return a if self.repeat == 1 else a.repeat(self.repeat)

    def gather(self, row):
        return row if self.repeat == 1 else row.reshape(-1, self.repeat).sum(axis=1)

    def _tiles(self):
        """Slices of the keys, the slice of each in a row, and the slices of the samples."""
        width = max(1, CHUNK // self.repeat)
        for i in range(0, self.keys, width):
            n = min(width, self.keys - i) * self.repeat
            step = max(1, BLOCK // n)
            yield (
                slice(i, i + width),
                slice(i * self.repeat, i * self.repeat + n),
                [slice(s, s + step) for s in range(0, self.samples, step)],
            )


def _not_empty(x, *_):
    return x.size > 0


@moments.when(numpy_backend, _not_empty)
def _(x, axis):
    (x,) = _wide(x)
    layout = _Layout(x.shape, axis)
    x = layout.matrix(x)
    mean, var = np.empty((2, layout.keys), x.dtype)
    for keys, row, blocks in layout.tiles:
        _moments(x[:, row], blocks, layout, mean[keys], var[keys])
    return mean.reshape(layout.key_shape), var.reshape(layout.key_shape)


@batch_normalize.when(numpy_backend, _not_empty)
def _(x, gamma, beta, axis, eps):
    dtype = x.dtype
    x, gamma, beta = _wide(x, gamma, beta)
    layout = _Layout(x.shape, axis)
    x = layout.matrix(x)
    y = np.empty_like(x)
    mean, var = np.empty((2, layout.keys), x.dtype)
    gamma, beta = gamma.reshape(-1), beta.reshape(-1)
    for keys, row, blocks in layout.tiles:
        _moments(x[:, row], blocks, layout, mean[keys], var[keys])
        scale = gamma[keys] / np.sqrt(var[keys] + x.dtype.type(eps))
        _affine(x[:, row], y[:, row], blocks, layout.spread(scale), layout.spread(beta[keys] - mean[keys] * scale))
    return layout.array(y).astype(dtype, copy=False), mean.reshape(layout.key_shape), var.reshape(layout.key_shape)


def _moments(x, blocks, layout, mean, var):
    # One pass over x: of the differences to the first sample's mean, the sums and the sums of squares. They cancel
    # little: that mean is away from the mean of all by at most sqrt(samples) standard deviations.
    first = layout.gather(x[0]) / x.dtype.type(layout.repeat)
    shift = layout.spread(first)
    total, squares = 0, 0
    for block in blocks:
        d = x[block] - shift
        total = total + d.sum(axis=0)
        np.multiply(d, d, out=d)
        squares = squares + d.sum(axis=0)
    count = x.dtype.type(layout.count)
    offset = layout.gather(total) / count
    np.add(first, offset, out=mean)
    np.maximum(layout.gather(squares) / count - offset * offset, 0, out=var)


def _affine(x, y, blocks, scale, offset, h=None, rectify=False):
    for block in blocks:
        out = y[block]
        np.multiply(x[block], scale, out=out)
        np.add(out, offset, out=out)
        if h is not None:
            np.add(out, h[block], out=out)
        if rectify:
            rectify_in_place(out)


@normalize_then.when(numpy_backend, _not_empty)
def _(x, numbers, axis, h, rectify, of_batch, keep):
    dtype = x.dtype
    layout = _Layout(x.shape, axis)
    mean, scale, offset = numbers[3:].reshape(3, -1)
    x = layout.matrix(x.astype(mean.dtype, copy=False))
    h = None if h is None else layout.matrix(h)
    y = np.empty_like(x)
    offset = offset - mean * scale
    for keys, row, blocks in layout.tiles:
        more = None if h is None else h[:, row]
        _affine(x[:, row], y[:, row], blocks, layout.spread(scale[keys]), layout.spread(offset[keys]), more, rectify)
    return layout.array(y).astype(dtype, copy=False), None


@normalize.when(numpy_backend, _not_empty)
def _(x, gamma, beta, mean, inv_std, axis):
    dtype = x.dtype
    x, gamma, beta, mean, inv_std = _wide(x, gamma, beta, mean, inv_std)
    layout = _Layout(x.shape, axis)
    scale = (gamma * inv_std).reshape(-1)
    offset = beta.reshape(-1) - mean.reshape(-1) * scale
    x = layout.matrix(x)
    y = np.empty_like(x)
    for keys, row, blocks in layout.tiles:
        _affine(x[:, row], y[:, row], blocks, layout.spread(scale[keys]), layout.spread(offset[keys]))
    return layout.array(y).astype(dtype, copy=False)


@normalize_grad.when(numpy_backend, _not_empty)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    dtype, key_shape = gy.dtype, gamma.shape
    gy, x, gamma, mean, inv_std = _wide(gy, x, gamma, mean, inv_std)
    layout = _Layout(x.shape, axis)
    gy, x, gamma, mean, inv_std = (
        layout.matrix(gy),
        layout.matrix(x),
        gamma.reshape(-1),
        mean.reshape(-1),
        inv_std.reshape(-1),
    )
    gx = np.empty_like(gy)
    ggamma, gbeta = np.empty((2, layout.keys), x.dtype)
    count = x.dtype.type(layout.count)
    for keys, row, blocks in layout.tiles:
        center = layout.spread(mean[keys])
        total, product = 0, 0
        for block in blocks:
            g = gy[block, row]
            d = x[block, row] - center
            d *= g
            total, product = total + g.sum(axis=0), product + d.sum(axis=0)
        gbeta[keys], ggamma[keys] = layout.gather(total), layout.gather(product) * inv_std[keys]
        scale = gamma[keys] * inv_std[keys]
        if fixed:
            _affine(gy[:, row], gx[:, row], blocks, layout.spread(scale), gy.dtype.type(0))
            continue
        slope = -scale * inv_std[keys] * ggamma[keys] / count
        offset = layout.spread(-scale * gbeta[keys] / count - slope * mean[keys])
        scale, slope = layout.spread(scale), layout.spread(slope)
        for block in blocks:
            out = gx[block, row]
            np.multiply(gy[block, row], scale, out=out)
            np.add(out, offset, out=out)
            out += x[block, row] * slope
    return layout.array(gx).astype(dtype, copy=False), ggamma.reshape(key_shape), gbeta.reshape(key_shape)
