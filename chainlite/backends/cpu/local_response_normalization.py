"""Normalization by neighbouring channels: y = x / (k + alpha * (the sum of the squares of the n around)) ** beta.

Arrays are (n, c, *s). What the forward kernel gives besides y is for the backward kernel alone.
"""

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel


def sum_neighbours(x, in_shape, half):
    """For each channel, the sum of those at most `half` away. This map is its own transpose."""
    y = x.copy()
    for i in range(1, half + 1):
        y[:, i:] += x[:, :-i]
        y[:, :-i] += x[:, i:]
    return y


def _power(scale, beta):
    """scale ** -beta; by square roots, which are many times as fast, for the beta that everybody uses."""
    xp = backend.get_array_module(scale)
    if beta != 0.75:
        return scale ** scale.dtype.type(-beta)
    root = xp.sqrt(scale)
    return 1 / (root * xp.sqrt(root))


def _wide(x):
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


@Kernel
def normalize(x, n, k, alpha, beta):
    """(y, what is kept)."""
    wide = _wide(x)
    scale = sum_neighbours(wide * wide, None, n // 2)
    scale *= scale.dtype.type(alpha)
    scale += scale.dtype.type(k)
    power = _power(scale, beta)
    return (wide * power).astype(x.dtype, copy=False), (scale, power)


@Kernel
def normalize_grad(gy, x, kept, n, k, alpha, beta):
    """gx."""
    if not isinstance(kept, tuple):  # of another backend
        kept = normalize.reference(x, n, k, alpha, beta)[1]
    scale, power = kept
    wide = _wide(x)
    g = gy * power
    around = sum_neighbours(g * wide / scale, None, n // 2)
    around *= wide
    around *= scale.dtype.type(2 * alpha * beta)
    return (g - around).astype(x.dtype, copy=False)
