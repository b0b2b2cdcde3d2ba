"""Pooling in any number of dimensions: the maximum, picking and its transpose, the average and its transpose.

Shapes: x (n, c, *dims), y (n, c, *outs); `places` (n, c, *outs) says which offset of its window each maximum came
from, as a number in row order. Sums are made in at least 32 bits.
"""

import functools
from math import prod

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel
from chainlite.backends._symbols import select
from chainlite.backends.cpu import numpy_backend
from chainlite.backends.cpu.windows import im2col, offsets

BLOCK = 1 << 17  # elements that are pooled at a time, so that what is computed from them stays in the cache


# ---- the maximum ----------------------------------------------------------------------------------------------------


@Kernel
def max_pool(x, ksize, stride, pad, outs, with_places):
    """The maxima, NaN if one is in the window, and their places (the first of equals), or None in their stead."""
    xp = backend.get_array_module(x)
    col = xp.full((*x.shape[:2], *ksize, *outs), -np.inf, x.dtype)
    im2col(x, ksize, stride, pad, (1,) * len(ksize), outs, col)
    col = col.reshape(*x.shape[:2], prod(ksize), *outs)
    return col.max(axis=2), col.argmax(axis=2) if with_places else None


@Kernel
def max_pick(x, places, ksize, stride, pad):
    """The elements of x at the given places, 0 for those in the padding."""
    xp = backend.get_array_module(x)
    y = xp.zeros(places.shape, x.dtype)
    for place, (_, inside, windows) in enumerate(_offsets(x.shape, ksize, stride, pad, places.shape)):
        y[windows] = xp.where(places[windows] == place, x[inside], y[windows])
    return y


@Kernel
def max_spread(gy, places, ksize, stride, pad, dims):
    """Adds each gy to the element at its place: the transpose of `max_pick`."""
    xp = backend.get_array_module(gy)
    gx = xp.zeros((*gy.shape[:2], *dims), gy.dtype)
    for place, (_, inside, windows) in enumerate(_offsets(gx.shape, ksize, stride, pad, gy.shape)):
        gx[inside] += xp.where(places[windows] == place, gy[windows], gy.dtype.type(0))
    return gx


def _offsets(x_shape, ksize, stride, pad, y_shape):
    return offsets(tuple(x_shape[2:]), ksize, stride, pad, (1,) * len(ksize), tuple(y_shape[2:]))


def _in_x(places, dims, ksize, stride, pad):
    """Whether no place is in the padding: there is none, or the places are our own (bytes) and no window is empty."""
    sizes = list(zip(dims, ksize, stride, pad, places.shape[2:]))
    if all(p == 0 and (o - 1) * s + k <= n for n, k, s, p, o in sizes):
        return True
    return places.dtype == np.uint8 and all(p < k and (o - 1) * s - p < n for n, k, s, p, o in sizes)


@functools.lru_cache(256)
def _first_places(dims, ksize, stride, pad, outs):
    """For each window, (*outs), the first place that is not in the padding; as bytes."""
    first = np.zeros(outs, np.uint8)
    for place, (_, _, windows) in reversed(list(enumerate(offsets(dims, ksize, stride, pad, (1,) * len(ksize), outs)))):
        first[windows] = place
    return first


@max_pool.when(numpy_backend, lambda x, ksize, *_: prod(ksize) <= 256 and x.size)
def _(x, ksize, stride, pad, outs, with_places):
    y = np.full((*x.shape[:2], *outs), -np.inf, x.dtype)
    table = _offsets(x.shape, ksize, stride, pad, y.shape)
    places = None
    if with_places:
        places = np.empty(y.shape, np.uint8)
        places[...] = _first_places(x.shape[2:], ksize, stride, pad, outs)
    step = max(1, BLOCK // max(1, x[0].size))
    for i in range(0, len(x), step):
        _max_of_block(x[i : i + step], y[i : i + step], places[i : i + step] if with_places else None, table)
    if with_places and y.max() != y.max():  # where a NaN came from is nothing that `>` could tell
        nan = np.isnan(y)
        places[nan] = max_pool.reference(x, ksize, stride, pad, outs, True)[1][nan]
    return y, places


def _max_of_block(x, y, places, table):
    if places is not None:
        above = np.empty(y.shape, bool)
        numbers = np.empty(y.shape, np.uint8)
    for place, (_, inside, windows) in enumerate(table):
        v, top = x[inside], y[windows]
        if places is not None and place:
            greater, number = above[windows], numbers[windows]
            np.greater(v, top, out=greater)
            np.multiply(greater.view(np.uint8), np.uint8(place), out=number)  # places grow, so the last to be greater
            np.maximum(places[windows], number, out=places[windows])  # has the largest number
        np.maximum(top, v, out=top)


def _positions(places, ksize, stride, pad, dims):
    """Where the places are in the flattened input."""
    n, c, *outs = places.shape
    steps = [prod(dims[i + 1 :]) for i in range(len(dims))]
    start = np.arange(n * c).reshape(n, c, *[1] * len(dims)) * prod(dims)
    within = np.zeros(1, np.intp)
    for axis, (step, k, s, p, out) in enumerate(zip(steps, ksize, stride, pad, outs)):
        start = start + ((np.arange(out) * s - p) * step).reshape(-1, *[1] * (len(dims) - 1 - axis))
        within = (within[:, None] + np.arange(k) * step).ravel()
    return start + within.take(places)


@max_pick.when(numpy_backend, lambda x, places, *window: x.size and _in_x(places, x.shape[2:], *window))
def _(x, places, ksize, stride, pad):
    return x.reshape(-1).take(_positions(places, ksize, stride, pad, x.shape[2:]))


def _overlap(gy, places, ksize, stride, pad, dims):
    return any(s < k for s, k in zip(stride, ksize)) and gy.size and _in_x(places, dims, ksize, stride, pad)


@max_spread.when(numpy_backend, _overlap)
def _(gy, places, ksize, stride, pad, dims):
    shape = (*gy.shape[:2], *dims)
    positions = _positions(places, ksize, stride, pad, dims)
    return np.bincount(positions.ravel(), gy.ravel(), prod(shape)).astype(gy.dtype).reshape(shape)


@max_spread.when(numpy_backend, lambda gy, places, ksize, stride, *_: all(s >= k for s, k in zip(stride, ksize)))
def _(gy, places, ksize, stride, pad, dims):
    gx = np.zeros((*gy.shape[:2], *dims), gy.dtype)
    for place, (_, inside, windows) in enumerate(_offsets(gx.shape, ksize, stride, pad, gy.shape)):
        gx[inside] = select(places[windows] == place, gy[windows])
    return gx


# ---- sums and averages ----------------------------------------------------------------------------------------------
# A sum over a window is a sum over one axis after the other.


def _axes(dims, ksize, stride, pad, outs):
    """For each axis the `offsets` of its own window, as slices of all axes up to it."""
    for axis, (n, k, s, p, o) in enumerate(zip(dims, ksize, stride, pad, outs)):
        before = (slice(None),) * (axis + 2)
        yield axis, [((*before, x[-1]), (*before, y[-1])) for _, x, y in offsets((n,), (k,), (s,), (p,), (1,), (o,))]


def _wide(x):
    return x.astype('f') if x.dtype.itemsize == 2 else x


@Kernel
def window_sum(x, ksize, stride, pad, outs):
    """The sums over windows."""
    xp, dtype = backend.get_array_module(x), x.dtype
    x = _wide(x)
    for axis, slices in _axes(x.shape[2:], ksize, stride, pad, outs):
        y = xp.zeros((*x.shape[: axis + 2], outs[axis], *x.shape[axis + 3 :]), x.dtype)
        for inside, windows in slices:
            y[windows] += x[inside]
        x = y
    return x.astype(dtype, copy=False)


@Kernel
def window_spread(y, ksize, stride, pad, dims):
    """Adds each element of y to all elements of its window: the transpose of `window_sum`."""
    xp, dtype = backend.get_array_module(y), y.dtype
    y = _wide(y)
    for axis, slices in reversed(list(_axes(dims, ksize, stride, pad, y.shape[2:]))):
        x = xp.zeros((*y.shape[: axis + 2], dims[axis], *y.shape[axis + 3 :]), y.dtype)
        for inside, windows in slices:
            x[inside] += y[windows]
        y = x
    return y.astype(dtype, copy=False)


@functools.lru_cache(256)
def _counts(dims, ksize, stride, pad, outs):
    """How many elements of each window are not padding, (1, 1, *outs)."""
    return window_sum.reference(np.ones((1, 1, *dims)), ksize, stride, pad, outs)


def _scale(a, dims, ksize, stride, pad, outs, counted):
    """`a` (..., *outs) divided by the size of the window, or by how much of it is not padding."""
    a = _wide(a)
    if counted:
        return a / backend.get_array_module(a).asarray(_counts(dims, ksize, stride, pad, outs), a.dtype)
    return a * a.dtype.type(1 / prod(ksize))


@Kernel
def average_pool(x, ksize, stride, pad, outs, counted):
    """The averages over windows; with `counted`, of the elements that are not padding."""
    y = window_sum(_wide(x), ksize, stride, pad, outs)
    return _scale(y, x.shape[2:], ksize, stride, pad, outs, counted).astype(x.dtype, copy=False)


@Kernel
def average_spread(gy, ksize, stride, pad, dims, counted):
    """The transpose of `average_pool`."""
    scaled = _scale(gy, dims, ksize, stride, pad, gy.shape[2:], counted)
    return window_spread(scaled, ksize, stride, pad, dims).astype(gy.dtype, copy=False)
