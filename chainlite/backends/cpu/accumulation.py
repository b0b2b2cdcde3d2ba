"""Sums in place."""

import numpy as np

from chainlite.backends._blocks import get_num_threads
from chainlite.backends._equations import equations
from chainlite.backends._layout import is_last, roll

_WORTH = 1 << 18  # elements


@equations
def _sum(x, y):
    return x + y


def add_into(x, y):
    """x += y; of long arrays by the threads that compute around it, for each has in its cache what it computed last."""
    if type(x) is np.ndarray and x.size >= _WORTH and x.dtype == y.dtype and get_num_threads() > 1:
        if is_last(x) and is_last(y):
            x, y = roll(x), roll(y)
        _sum(x, y, out=x)
    else:
        x += y
