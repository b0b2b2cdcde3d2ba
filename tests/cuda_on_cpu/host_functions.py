"""Parts of CuPy that rest on libraries of device code: their work is done by NumPy, on the memory itself."""

import ctypes
import sys
import types

import numpy as np


def install():
    """Sorting: CuPy compiles Thrust into a module of its own."""
    thrust = types.ModuleType('cupy.cuda.thrust')
    thrust.available = True
    thrust.get_build_version = lambda: 300102
    thrust.sort, thrust.argsort, thrust.lexsort = _sort, _argsort, _lexsort
    sys.modules[thrust.__name__] = thrust


def after_cupy():
    pass


def _array(pointer, shape, dtype):
    """A NumPy array of device memory, once the current stream has come to it."""
    import cupy

    cupy.cuda.get_current_stream().synchronize()
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(pointer), dtype=dtype).reshape(shape)


def _sort(dtype, data, keys, shape):
    values = _array(data, shape, dtype)
    values[...] = np.sort(values, axis=-1, kind='stable')


def _argsort(dtype, indices, data, keys, shape):
    values = _array(data, shape, dtype)
    order = np.argsort(values, axis=-1, kind='stable')
    _array(indices, shape, np.int64)[...] = order
    values[...] = np.take_along_axis(values, order, -1)


def _lexsort(dtype, indices, keys, k, n):
    _array(indices, (n,), np.int64)[...] = np.lexsort(_array(keys, (k, n), dtype))
