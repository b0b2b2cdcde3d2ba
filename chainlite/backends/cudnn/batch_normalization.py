"""Batch normalization by cuDNN; see cpu.batch_normalization for what the arguments are.

For one number of each channel, (n, c, *dims) over all axes but the second, and for one of each element, over the first
axis alone, which is the same with all others taken as channels. Normalizing by given statistics stays with our kernel:
cuDNN 9.28 proposes no plan for that.
"""

from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import as_last, is_last
from chainlite.backends.cpu.batch_normalization import batch_normalize, normalize_grad
from chainlite.backends.cudnn._backend import cudnn
from chainlite.backends.cudnn._plans import aligned, run
from chainlite.backends.cudnn.conv import empty


def _takes(x, *arguments):
    (axis,) = [a for a in arguments if isinstance(a, tuple)]
    others = [a for a in arguments if hasattr(a, 'dtype')]
    return (
        x.dtype.char in 'eEf'
        and x.size > 0
        and all([isinstance(a, cuda.ndarray) and a.dtype.char in 'eEf' for a in others])
        and (axis == (0,) or axis == (0, *range(2, x.ndim)))
    )


class _Layout:
    """How cuDNN is given the arrays: images of four or five axes, numbers of each channel as float32 (1, c, 1, 1)."""

    def __init__(self, x, axis):
        self.shape, self.keys = x.shape, tuple([n for i, n in enumerate(x.shape) if i not in axis])
        spatial = x.ndim in (4, 5) and len(axis) > 1
        self.last = spatial and is_last(x)
        self.inner = x.shape if spatial else (len(x), prod(self.keys), x.size // (len(x) * prod(self.keys)), 1)
        self.channels = 1, self.inner[1], *[1] * (len(self.inner) - 2)

    def images(self, *arrays):
        change = as_last if self.last else cuda.cupy.ascontiguousarray
        return [aligned(change(a).reshape(self.inner) if a.shape != self.inner else change(a)) for a in arrays]

    def numbers(self, *arrays):
        contiguous = cuda.cupy.ascontiguousarray
        return [aligned(contiguous(a.astype(np.float32, copy=False)).reshape(self.channels)) for a in arrays]

    def empty(self, dtype):
        return empty(self.inner, dtype, self.last)

    def empty_numbers(self):
        return cuda.cupy.empty(self.channels, np.float32)


def build_forward(make, arrays, eps):
    """y, mean and 1 / sqrt(var + eps) of x, gamma and beta."""
    names = 'input', 'scale', 'bias'
    tensors = dict(zip(names, map(make.tensor, arrays)))
    none = dict(in_running_mean=None, in_running_var=None, momentum=None)
    results = make.graph.batchnorm(**tensors, **none, epsilon=make.constant(eps))
    for result, array in zip(results, arrays[3:]):
        make.result(result, array)


def build_backward(make, arrays):
    """gx, ggamma and gbeta of gy, x, gamma and the statistics."""
    names = 'grad', 'input', 'scale', 'mean', 'inv_variance'
    tensors = dict(zip(names, map(make.tensor, arrays)))
    for result, array in zip(make.graph.batchnorm_backward(**tensors), arrays[5:]):
        make.result(result, array)


def _variance(inv_std, eps):
    """The variance of 1 / sqrt(var + eps); NaN stays NaN."""
    find = cuda.elementwise('T s, T eps', 'T v', 'v = 1 / (s * s) - eps; v = v < 0 ? T(0) : v;', 'variance_of_inv_std')
    return find(inv_std, np.float32(eps))


@batch_normalize.when(cudnn, _takes)
def _(x, gamma, beta, axis, eps):
    layout = _Layout(x, axis)
    y, mean, inv_std = layout.empty(x.dtype), layout.empty_numbers(), layout.empty_numbers()
    arrays = [*layout.images(x), *layout.numbers(gamma, beta), y, mean, inv_std]
    if not run(build_forward, arrays, (float(eps),), layout.last):
        return NotImplemented
    return y.reshape(x.shape), mean.reshape(layout.keys), _variance(inv_std, eps).reshape(layout.keys)


def _takes_gradient(gy, x, gamma, mean, inv_std, axis, fixed):
    return not fixed and gy.dtype == x.dtype and _takes(gy, x, gamma, mean, inv_std, axis)


@normalize_grad.when(cudnn, _takes_gradient)
def _(gy, x, gamma, mean, inv_std, axis, fixed):
    layout = _Layout(x, axis)
    gx, ggamma, gbeta = layout.empty(x.dtype), layout.empty_numbers(), layout.empty_numbers()
    arrays = [*layout.images(gy, x), *layout.numbers(gamma, mean, inv_std), gx, ggamma, gbeta]
    if not run(build_backward, arrays, (), layout.last):
        return NotImplemented
    return gx.reshape(x.shape), ggamma.reshape(layout.keys), gbeta.reshape(layout.keys)
