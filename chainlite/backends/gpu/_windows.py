"""The shapes of sliding windows as windows.cuh wants them."""

import functools

import numpy as np

from chainlite.backends.gpu._launch import constants

_FIELDS = ('dims', 'ksize', 'stride', 'pad', 'dilate', 'outs')
_WINDOWS = np.dtype([(name, 'i4', 3) for name in _FIELDS], align=True)


@functools.lru_cache(1024)
def windows(dims, ksize, stride, pad, dilate, outs):
    """The struct `Windows`; all arguments are tuples of up to 3 ints."""
    struct = np.zeros((), _WINDOWS)
    for name, sizes in zip(_FIELDS, (dims, ksize, stride, pad, dilate, outs)):
        missing = 3 - len(sizes)
        struct[name] = [0 if name == 'pad' else 1] * missing + list(sizes)
    return constants(struct[()])[0]  # a scalar, which CuPy passes by value
