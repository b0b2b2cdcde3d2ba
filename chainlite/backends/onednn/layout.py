"""From one layout to the other; see _layout.

Between the two lies a third, with the channels in blocks of 16. For large images the way over it, one image after the
other so that what lies between stays in the cache, takes half to two thirds of the time: writing (or reading) single
numbers that are kilobytes apart is slow.
"""

import numpy as np

from chainlite.backends._layout import as_last, empty_last, from_last, is_last, preferred, to_last
from chainlite.backends.onednn._backend import can_multiply, onednn
from chainlite.backends.onednn._primitive import DST, SRC, Descriptors, Operation, Primitive, address
from chainlite.backends.onednn._threads import operation

_WORTH = 1 << 12  # elements
_LARGE, _MANY = 1 << 16, 512  # elements of an image, channels


def _build(dtype, shape, last):
    n, c, *sizes = shape
    pixels = int(np.prod(sizes))
    with Descriptors(dtype) as make:
        if dtype == np.float32 and c * pixels >= _LARGE and (last or c >= _MANY):
            return _ByImage(make, n, c, pixels, last)
        x, y = make.plain((n, c, pixels), not last), make.plain((n, c, pixels), last)
        return Operation(make, make.reorder(x, y), (SRC, x, False), (DST, y, True))


class _ByImage:
    """Reorders n images, each in two steps."""

    def __init__(self, make, n, c, pixels, last):
        shape = 1, c, pixels
        x, between, y = make.plain(shape, not last), make.blocked(shape), make.plain(shape, last)
        self.n, self.bytes, self.between = n, make.size(x), make.size(between)
        self.steps = [Primitive(make.reorder(a, b), [(SRC, a), (DST, b)]) for a, b in [(x, between), (between, y)]]

    def __call__(self, x, y):
        between = np.empty(self.between, np.uint8)
        (first, second), source, middle, target = self.steps, address(x), address(between), address(y)
        for offset in range(0, self.n * self.bytes, self.bytes):
            first(source + offset, middle)
            second(middle, target + offset)


@to_last.when(onednn, lambda x: x.size >= _WORTH and x.flags.c_contiguous and can_multiply(x))
def _(x):
    y = empty_last(x.shape, x.dtype)
    operation(_build, x.dtype, x.shape, True)(x, y)
    return y


@from_last.when(onednn, lambda x: x.size >= _WORTH and is_last(x) and can_multiply(x))
def _(x):
    y = np.empty(x.shape, x.dtype)
    operation(_build, x.dtype, x.shape, False)(x, y)
    return y


@preferred.when(onednn, can_multiply)
def _(x):
    return as_last(x)
