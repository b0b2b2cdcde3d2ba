"""From one layout to the other; see _layout."""

import numpy as np

from chainlite.backends._layout import as_last, empty_last, from_last, preferred, to_last
from chainlite.backends.onednn._backend import can_multiply, onednn
from chainlite.backends.onednn._primitive import DST, SRC, Descriptors, Operation
from chainlite.backends.onednn._threads import operation

_WORTH = 1 << 12  # elements


def _build(dtype, shape, last):
    n, c, *sizes = shape
    shape = n, c, int(np.prod(sizes))
    with Descriptors(dtype) as make:
        x, y = make.plain(shape, not last), make.plain(shape, last)
        return Operation(make, make.reorder(x, y), (SRC, x, False), (DST, y, True))


@to_last.when(onednn, lambda x: x.size >= _WORTH and x.flags.c_contiguous and can_multiply(x))
def _(x):
    y = empty_last(x.shape, x.dtype)
    operation(_build, x.dtype, x.shape, True)(x, y)
    return y


@from_last.when(onednn, lambda x: x.size >= _WORTH and can_multiply(x))
def _(x):
    y = np.empty(x.shape, x.dtype)
    operation(_build, x.dtype, x.shape, False)(x, y)
    return y


@preferred.when(onednn, can_multiply)
def _(x):
    return as_last(x)
