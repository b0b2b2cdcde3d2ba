"""Rows of a table by their numbers, and sums of rows by their numbers.

Numbers count from the end if they are negative; `ignored`, unless it is None, is the number whose row is 0 and which
adds nothing.
"""

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel


@Kernel
def take_rows(W, x, ignored):
    """W's rows (*s, d) for numbers x (*s)."""
    if ignored is None:
        return W.take(x, axis=0)
    xp = backend.get_array_module(W)
    nothing = x == ignored
    y = W.take(xp.where(nothing, 0, x), axis=0)
    y[nothing] = 0
    return y


@Kernel
def add_rows(gy, x, shape, dtype, ignored):
    """An array (v, d) with gy's rows (*s, d) added to the rows that x numbers."""
    xp = backend.get_array_module(gy)
    x, gy = x.reshape(-1), gy.reshape(-1, shape[1])
    if ignored is not None:
        kept = x != ignored
        x, gy = x[kept], gy[kept]
    gW = xp.zeros(shape, 'f' if dtype.itemsize == 2 else dtype)
    if xp is not np:
        xp.add.at(gW, x, gy)
    elif x.size:  # rows of the same number are brought together and summed
        x = x % shape[0]  # -1 is the last row
        order = x.argsort(kind='stable')
        x = x[order]
        starts = np.flatnonzero(np.concatenate(([True], x[1:] != x[:-1])))
        gW[x[starts]] += np.add.reduceat(gy[order], starts, axis=0, dtype=gW.dtype)
    return gW.astype(dtype, copy=False)
