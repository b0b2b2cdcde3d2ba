"""Sums in place."""

import numpy as np

from chainlite.backends import _equations
from chainlite.backends._blocks import get_num_threads
from chainlite.backends._equations import equations
from chainlite.backends._layout import is_last, roll

_WORTH = 1 << 18  # elements of images that are channels last, which threads have computed


@equations
def _sum(x, y):
    return x + y


def add_into(x, y):
    """x += y; of long arrays by the threads that compute around it, for each has in its cache what it computed last."""
    if type(x) is np.ndarray and x.size >= _WORTH and x.dtype == y.dtype and get_num_threads() > 1:
        are_last = is_last(x) and is_last(y)
        if are_last or x.size >= _equations.WORTH_THREADS:
            if are_last:
                x, y = roll(x), roll(y)
            _sum(x, y, out=x)
            return
    x += y
