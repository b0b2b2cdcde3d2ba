"""The rectified linear unit of an array that nobody else has, and its gradient."""

import numpy as np

from chainlite.backends._equations import equations, where
from chainlite.backends._kernel import Kernel

_ZERO, _INFINITY = np.zeros((), np.float32), np.full((), np.inf, np.float32)


def rectify_in_place(y):
    """max(0, y), in its place. NaN stays NaN. NumPy's `clip` takes a quarter of the time of its `maximum`."""
    return y.clip(_ZERO, _INFINITY, out=y)


@equations
def _gradient(y, gy):
    return where(y > 0, gy, 0)


@Kernel
def relu_grad(y, gy):
    """gy where y > 0, otherwise 0."""
    return _gradient.run((y, gy))[0]
