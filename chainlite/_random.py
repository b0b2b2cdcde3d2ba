"""Random numbers."""

import random

import numpy

from chainlite.backends import cuda


def seed(n):
    """Seeds every generator that draws numbers here: Python's `random`, NumPy's, and CuPy's on the current device.

    Runs that start with the same seed then draw the same dropout masks, initial weights and shuffles.

    Args:
        n: integer between 0 and 2**32 - 1.
    """
    random.seed(n)
    numpy.random.seed(n)
    if cuda.available:
        cuda.cupy.random.seed(n)
