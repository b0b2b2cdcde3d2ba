"""Arrays of known, different values."""

import math

import numpy as np


def shaped_range(*shape, dtype=np.float32):
    """0, 1, 2, ... in a shape."""
    return np.arange(math.prod(shape), dtype=dtype).reshape(shape)


def increasing(*shape, dtype=np.float32):
    """Increasing integers with 0 in the middle."""
    return shaped_range(*shape, dtype=dtype) - math.prod(shape) // 2


def nonzero_increasing(*shape, dtype=np.float32, bias=1e-7):
    """:func:`increasing`, plus a bias that keeps all from being 0."""
    return increasing(*shape, dtype=dtype) + dtype(bias)


def positive_increasing(*shape, dtype=np.float32, bias=1e-7):
    """0, 1, 2, ... plus a bias that makes all positive."""
    return shaped_range(*shape, dtype=dtype) + dtype(bias)
