"""Maximum and average pooling; see cpu.pooling for what the arguments are.

oneDNN remembers the maxima as cpu.pooling does: in bytes, by number within the window.

It works on arrays that are channels last. Some of its code takes C-contiguous arrays and brings a few rows at a time
into the other layout, which takes less time than to convert a large array first.
"""

import functools
from math import prod

import numpy as np

from chainlite.backends._layout import as_contiguous, as_last, empty_last, is_last, roll
from chainlite.backends._symbols import select
from chainlite.backends.cpu.pooling import average_pool, average_spread, max_pool, max_spread
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import (
    DIFF_DST,
    DIFF_SRC,
    DST,
    INFERENCE,
    SRC,
    TRAINING,
    WORKSPACE,
    Descriptors,
    Operation,
    dims,
)
from chainlite.backends.onednn._threads import get_num_threads, operation

_MAX, _AVERAGE, _AVERAGE_WITHOUT_PADDING = 0x1FF, 0x2FF, 0x3FF  # algorithms
_FEW, _MANY = 8, 1 << 15  # channels, elements
# Channels and elements of C-contiguous arrays that are worth taking as they are, without a backward pass and with one.
_ENOUGH, _LARGE, _HUGE = 16, 1 << 20, 1 << 22


def _pad_behind(sizes, ksize, stride, pad, outs):
    return [(out - 1) * s + k - p - size for size, k, s, p, out in zip(sizes, ksize, stride, pad, outs)]


@functools.lru_cache(1024)
def _fits(sizes, ksize, stride, pad, outs):
    """Whether oneDNN has such a window: in up to three dimensions, never in the padding alone, small."""
    return (
        len(ksize) in (1, 2, 3)
        and prod(ksize) < 256
        and all(
            [
                p < k and -s < behind < k
                for k, s, p, behind in zip(ksize, stride, pad, _pad_behind(sizes, ksize, stride, pad, outs))
            ]
        )
    )


class _Shapes:
    """A pooling as oneDNN describes it.

    Attributes:
        x, y: the layouts of what is given.
        inner: those that the primitive works in.
    """

    def __init__(self, make, x_shape, last, algorithm, y_shape, ksize, stride, pad):
        self.make, self.algorithm = make, algorithm
        self.inner = self.x, self.y = make.plain(x_shape, last), make.plain(y_shape, last)
        behind = _pad_behind(x_shape[2:], ksize, stride, pad, y_shape[2:])
        self.window = dims(stride), dims(ksize), dims([0] * len(ksize)), dims(pad), dims(behind)

    def forward(self, propagation):
        return self.make.primitive('pooling_forward', propagation, self.algorithm, *self.inner, *self.window)

    def backward(self):
        arguments = self.algorithm, *self.inner, *self.window, self.forward(TRAINING)
        return self.make.primitive('pooling_backward', *arguments)


def _build_forward(x_shape, last, algorithm, y_shape, propagation, *window):
    with Descriptors() as make:
        shapes = _Shapes(make, x_shape, last, algorithm, y_shape, *window)
        workspace = [(WORKSPACE, None, True)] if algorithm == _MAX and propagation == TRAINING else []
        arguments = (SRC, shapes.x, False), (DST, shapes.y, True), *workspace
        return Operation(make, shapes.forward(propagation), *arguments)


def _build_backward(x_shape, last, algorithm, y_shape, *window):
    with Descriptors() as make, Descriptors(np.uint8) as make_places:
        shapes = _Shapes(make, x_shape, last, algorithm, y_shape, *window)
        if last and x_shape[1] < _FEW and prod(x_shape) >= _MANY:
            # Of so few channels each store would overlap the next load, which then waits for it. There and back takes
            # half the time.
            shapes.inner = make.blocked(x_shape), make.blocked(y_shape)
        workspace = [(WORKSPACE, make_places.plain(y_shape, last), False)] if algorithm == _MAX else []
        arguments = (DIFF_DST, shapes.y, False), (DIFF_SRC, shapes.x, True), *workspace
        return Operation(make, shapes.backward(), *arguments)


def _choose(given, least, build, x_shape, *key):
    """An operation, and whether it is for arrays that are channels last; `given` is one of them as it is."""
    if x_shape[1] >= _ENOUGH and prod(x_shape) >= least and not is_last(given):
        run = operation(build, x_shape, False, *key)
        if run.implementation.startswith('jit'):
            return run, False
    return operation(build, x_shape, True, *key), True


def _arrange(x, last):
    return as_last(x) if last else as_contiguous(x)


def _empty(shape, last, dtype=np.float32):
    return empty_last(shape, dtype) if last else np.empty(shape, dtype)


def _all_finite(x):
    """Whether the sum of squares is: NaN and infinity get lost in oneDNN's maximum."""
    x = (roll(x) if is_last(x) else x).reshape(-1)
    return np.isfinite(np.dot(x, x))


@max_pool.when(
    onednn,
    lambda x, ksize, stride, pad, outs, with_places: (
        is_float32(x) and _fits(x.shape[2:], ksize, stride, pad, outs) and _all_finite(x)
    ),
)
def _(x, ksize, stride, pad, outs, with_places):
    y_shape, propagation = (*x.shape[:2], *outs), TRAINING if with_places else INFERENCE
    key = x.shape, _MAX, y_shape, propagation, ksize, stride, pad
    run, last = _choose(x, _HUGE if with_places else _LARGE, _build_forward, *key)
    x, y = _arrange(x, last), _empty(y_shape, last)
    if not with_places:
        run(x, y)
        return y, None
    places = _empty(y_shape, last, np.uint8)
    run(x, y, places)
    return y, places


def _build_join(shape, ksize):
    """Puts the elements of each place of the windows, all (n, *outs, c), one array after the other, into images."""
    n, *outs, c = shape
    sizes, steps = [n], [prod(shape[1:])]
    for axis, (out, k) in enumerate(zip(outs, ksize), 1):
        sizes += out, k
        steps += prod(shape[axis + 1 :]), prod(shape) * prod(ksize[axis:])
    with Descriptors() as make:
        parts, x = make.strided([*sizes, c], [*steps, 1]), make.plain([*sizes, c])
        return Operation(make, make.reorder(parts, x), (SRC, parts, False), (DST, x, True))


def _tile(gy, places, ksize, stride, pad, sizes):
    """Whether the windows tile images of few channels: then each place of the windows is computed by itself."""
    return (
        gy.shape[1] < _FEW
        and gy.size * prod(ksize) >= _MANY
        and ksize == stride
        and not any(pad)
        and sizes == tuple([k * out for k, out in zip(ksize, gy.shape[2:])])
        and get_num_threads() == 1
        and is_float32(gy)
        and places.dtype == np.uint8
    )


@max_spread.when(onednn, _tile)
def _(gy, places, ksize, stride, pad, sizes):
    gx, gy, places = empty_last((*gy.shape[:2], *sizes)), roll(as_last(gy)), roll(as_last(places))
    parts = np.empty((prod(ksize), *gy.shape), gy.dtype)
    for place, part in enumerate(parts):
        select(places == place, gy, out=part)
    operation(_build_join, gy.shape, ksize)(parts, gx)
    return gx


@max_spread.when(
    onednn,
    lambda gy, places, ksize, stride, pad, sizes: (
        is_float32(gy) and places.dtype == np.uint8 and _fits(sizes, ksize, stride, pad, gy.shape[2:])
    ),
)
def _(gy, places, ksize, stride, pad, sizes):
    x_shape = *gy.shape[:2], *sizes
    run, last = _choose(places, _HUGE, _build_backward, x_shape, _MAX, gy.shape, ksize, stride, pad)
    gx = _empty(x_shape, last)
    run(_arrange(gy, last), gx, _arrange(places, last))
    return gx


@average_pool.when(
    onednn,
    lambda x, ksize, stride, pad, outs, counted: is_float32(x) and _fits(x.shape[2:], ksize, stride, pad, outs),
)
def _(x, ksize, stride, pad, outs, counted):
    y_shape, algorithm = (*x.shape[:2], *outs), _AVERAGE_WITHOUT_PADDING if counted else _AVERAGE
    run, last = _choose(x, _LARGE, _build_forward, x.shape, algorithm, y_shape, INFERENCE, ksize, stride, pad)
    y = _empty(y_shape, last)
    run(_arrange(x, last), y)
    return y


@average_spread.when(
    onednn,
    lambda gy, ksize, stride, pad, sizes, counted: is_float32(gy) and _fits(sizes, ksize, stride, pad, gy.shape[2:]),
)
def _(gy, ksize, stride, pad, sizes, counted):
    gy = as_last(gy)
    gx = empty_last((*gy.shape[:2], *sizes))
    algorithm = _AVERAGE_WITHOUT_PADDING if counted else _AVERAGE
    operation(_build_backward, gx.shape, True, algorithm, gy.shape, ksize, stride, pad)(gy, gx)
    return gx
