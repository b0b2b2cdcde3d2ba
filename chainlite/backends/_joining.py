"""Joining arrays, also while a CUDA graph is captured."""

import numpy as np

from chainlite import backend
from chainlite.backends.gpu import _graph

_FEW = 8  # arrays of which CuPy passes the addresses to its kernel; those of more it sends to the device


def concatenate(xs, axis=0):
    """``xp.concatenate(xs, axis)``."""
    xp = backend.get_array_module(*xs)
    if xp is not np and len(xs) > _FEW and _graph.is_capturing():
        return concatenate([xp.concatenate(xs[i : i + _FEW], axis) for i in range(0, len(xs), _FEW)], axis)
    return xp.concatenate(xs, axis)


def stack(xs, axis=0):
    """``xp.stack(xs, axis)``."""
    xp = backend.get_array_module(*xs)
    if xp is not np and len(xs) > _FEW and _graph.is_capturing():
        return concatenate([xp.expand_dims(x, axis) for x in xs], axis)
    return xp.stack(xs, axis)
