"""Maximum and average pooling; see cpu.pooling for what the arguments are, and kernels/pooling.cu."""

from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import is_last
from chainlite.backends.cpu.pooling import (
    average_pool,
    average_spread,
    max_pick,
    max_pool,
    max_spread,
    window_spread,
    window_sum,
)
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import function, index_type, is_float, launch
from chainlite.backends.gpu._transpose import dense, empty
from chainlite.backends.gpu._windows import windows


def _takes(x, *window):
    return is_float(x) and 3 <= x.ndim <= 5


def _takes_places(x, places, *window):
    return _takes(x) and places.dtype.char in 'Bilq' and places.size > 0


def _windows(dims, ksize, stride, pad, outs):
    return windows(tuple(dims), tuple(ksize), tuple(stride), tuple(pad), (1,) * len(ksize), tuple(outs))


def _run(name, shape, inputs, window, *rest):
    """A new array of that shape, made by the function `name` from arrays; it has the dtype of the first.

    It is channels last if one of them is.
    """
    last = any(map(is_last, inputs))
    inputs = [dense(a, last) for a in inputs]
    out = empty(shape, inputs[0].dtype, last)
    run = function(name, *[a.dtype for a in inputs], index_type(out, *inputs), len(shape) - 2)
    launch(run, out.size, *inputs, out, window, *rest, shape[1] if last else 1)
    return out


@max_pool.when(gpu, _takes)
def _(x, ksize, stride, pad, outs, with_places):
    last = is_last(x)
    x = dense(x, last)
    y = empty((*x.shape[:2], *outs), x.dtype, last)
    kind = np.dtype('B' if prod(ksize) <= 256 else 'i')
    places = empty(y.shape, kind, last) if with_places else None
    run = function('pooling.max_pool', x.dtype, kind, index_type(x, y), len(ksize))
    window = _windows(x.shape[2:], ksize, stride, pad, outs)
    launch(run, y.size, x, y, places, window, x.shape[1] if last else 1)
    return y, places


def _on_gpu(places):
    return places if isinstance(places, cuda.cupy.ndarray) else cuda.cupy.asarray(places)


@max_pick.when(gpu, _takes_places)
def _(x, places, ksize, stride, pad):
    window = _windows(x.shape[2:], ksize, stride, pad, places.shape[2:])
    return _run('pooling.max_pick', places.shape, (x, _on_gpu(places)), window)


@max_spread.when(gpu, _takes_places)
def _(gy, places, ksize, stride, pad, dims):
    window = _windows(dims, ksize, stride, pad, gy.shape[2:])
    return _run('pooling.max_spread', (*gy.shape[:2], *dims), (gy, _on_gpu(places)), window)


def _average(x, ksize, stride, pad, outs, scale, counted):
    window = _windows(x.shape[2:], ksize, stride, pad, outs)
    return _run('pooling.average_pool', (*x.shape[:2], *outs), (x,), window, scale, counted)


def _spread(gy, ksize, stride, pad, dims, scale, counted):
    window = _windows(dims, ksize, stride, pad, gy.shape[2:])
    return _run('pooling.average_spread', (*gy.shape[:2], *dims), (gy,), window, scale, counted)


@average_pool.when(gpu, _takes)
def _(x, ksize, stride, pad, outs, counted):
    return _average(x, ksize, stride, pad, outs, 1 / prod(ksize), counted)


@average_spread.when(gpu, _takes)
def _(gy, ksize, stride, pad, dims, counted):
    return _spread(gy, ksize, stride, pad, dims, 1 / prod(ksize), counted)


@window_sum.when(gpu, _takes)
def _(x, ksize, stride, pad, outs):
    return _average(x, ksize, stride, pad, outs, 1.0, False)


@window_spread.when(gpu, _takes)
def _(y, ksize, stride, pad, dims):
    return _spread(y, ksize, stride, pad, dims, 1.0, False)
