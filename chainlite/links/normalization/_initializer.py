import copy

import numpy

from chainlite.configuration import get_dtype
from chainlite.initializers import _get_initializer


def highprec_initializer(initializer, default, dtype=None):
    """Makes an initializer of ``dtype`` from an argument; None: ``config.dtype``, but float32 for ``mixed16``."""
    initializer = copy.copy(_get_initializer(initializer, default))
    initializer.dtype = get_dtype(dtype, map_mixed16=numpy.float32)
    return initializer
