"""The transpose of indexing."""

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel


@Kernel
def add_at(y, index, shape):
    """An array of `shape`, and y's dtype, with y added at `[index]`: where a place is named more than once, all are."""
    xp = backend.get_array_module(y)
    x = xp.zeros(shape, y.dtype)
    (np if xp is np else xp).add.at(x, index, y)
    return x
