"""Random numbers like an array, and dropout.

NumPy draws them from its global generator, as Chainer does.
"""

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel


@Kernel
def dropout(x, ratio):
    """(x times a mask of zeros, with probability `ratio`, and 1 / (1 - ratio); what `dropout_again` wants to know)."""
    xp = backend.get_array_module(x)
    mask = xp.asarray(xp.random.rand(*x.shape) >= ratio)
    mask = xp.multiply(mask, 1.0 / (1 - ratio), dtype=x.dtype)
    return x * mask, mask


@Kernel
def dropout_again(x, draw, ratio):
    """x times the mask of an earlier call."""
    return x * draw


@Kernel
def uniform(x, shape):
    """Numbers between 0 and 1, on x's device, float32 or float64."""
    return np.asarray(np.random.rand(*shape))


@Kernel
def normal(x, shape):
    """Standard normal numbers."""
    return np.asarray(np.random.standard_normal(shape))


@Kernel
def gumbel(x, shape):
    """Numbers of Gumbel's distribution, -log(-log(u))."""
    return np.asarray(np.random.gumbel(size=shape))
