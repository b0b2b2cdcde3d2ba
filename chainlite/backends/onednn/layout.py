"""From one layout to the other; see _layout."""

import numpy as np

from chainlite.backends._layout import as_last, empty_last, from_last, preferred, to_last
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import DST, SRC, Descriptors, Operation
from chainlite.backends.onednn._threads import operation

_WORTH = 1 << 12  # elements


def _build(shape, last):
    n, c, *sizes = shape
    shape = n, c, int(np.prod(sizes))
    with Descriptors() as make:
        x, y = make.plain(shape, not last), make.plain(shape, last)
        return Operation(make, make.reorder(x, y), (SRC, x, False), (DST, y, True))


@to_last.when(onednn, lambda x: x.size >= _WORTH and x.flags.c_contiguous and is_float32(x))
def _(x):
    y = empty_last(x.shape)
    operation(_build, x.shape, True)(x, y)
    return y


@from_last.when(onednn, lambda x: x.size >= _WORTH and is_float32(x))
def _(x):
    y = np.empty(x.shape, np.float32)
    operation(_build, x.shape, False)(x, y)
    return y


@preferred.when(onednn, lambda x: is_float32(x))
def _(x):
    return as_last(x)
