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
        return False
    if level == 'always':
        check_ideep_available()
        return True
    raise ValueError(f'invalid use_ideep configuration: {level!r} (must be either of "always", "auto", or "never")')


onednn = Backend('onednn', lambda kind: kind is np.ndarray, _enabled, preference=1)


def is_float32(*arrays):
    """Whether all arrays are float32 and have elements."""
    for a in arrays:
        if a.dtype != np.float32 or not a.size:
            return False
    return True
