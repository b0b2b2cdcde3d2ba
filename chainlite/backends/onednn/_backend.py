"""The backend that the implementations register for."""

import numpy as np

from chainlite.backends._kernel import Backend
from chainlite.backends.intel64 import check_ideep_available
from chainlite.backends.onednn import _library
from chainlite.configuration import config


def _enabled():
    level = config.use_ideep
    if level == 'auto':
        return _library.library() is not None
    if level == 'never':
        _library.keep_freed_memory()
        return False
    if level == 'always':
        check_ideep_available()
        return True
    raise ValueError(f'invalid use_ideep configuration: {level!r} (must be either of "always", "auto", or "never")')


onednn = Backend('onednn', lambda kind: kind is np.ndarray, _enabled, preference=1)


_FLOAT32 = np.dtype(np.float32)  # most arrays have this very object


def is_float32(*arrays):
    """Whether all arrays are float32 and have elements."""
    for a in arrays:
        if a.dtype is not _FLOAT32 and a.dtype != _FLOAT32 or not a.size:
            return False
    return True


def can_multiply(*arrays):
    """Whether all arrays have one dtype, float32 or a bfloat16 that the processor multiplies, and elements."""
    dtype = arrays[0].dtype
    if dtype is _FLOAT32 or dtype == _FLOAT32:
        return is_float32(*arrays)
    if dtype.name != 'bfloat16' or not _library.library().multiplies_bfloat16:
        return False
    return all([a.dtype == dtype and a.size for a in arrays])
