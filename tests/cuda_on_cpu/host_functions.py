"""Parts of CuPy that rest on libraries of device code: their work is done by NumPy, on the memory itself."""

import ctypes
import functools
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
    """Transforms and linear algebra: cuFFT and cuSOLVER are large, and chainlite only calls them."""
    import cupy

    for module, reference, names in ((cupy.fft, np.fft, _TRANSFORMS), (cupy.linalg, np.linalg, _LINEAR_ALGEBRA)):
        for name in names.split():
            setattr(module, name, _on_host(getattr(reference, name)))


_TRANSFORMS = 'fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft'
_LINEAR_ALGEBRA = (
    'cholesky qr svd eigh eig eigvalsh eigvals det slogdet matrix_rank cond solve lstsq inv pinv tensorsolve tensorinv'
)


def _on_host(function):
    """The NumPy function, for CuPy's arrays."""
    import cupy
    import cupyx

    def host(x):
        return x.get() if isinstance(x, cupy.ndarray) else x

    @functools.wraps(function)
    def call(*args, **kwargs):
        if any(isinstance(x, np.ndarray) for x in args):
            raise TypeError(f'cupy: {function.__name__} of a NumPy array')
        try:
            results = function(*map(host, args), **{name: host(x) for name, x in kwargs.items()})
        except np.linalg.LinAlgError:
            if function is not np.linalg.inv or cupyx.geterr()['linalg'] == 'raise':
                raise
            results = np.full_like(host(args[0]), np.nan)
        return tuple(map(cupy.asarray, results)) if isinstance(results, tuple) else cupy.asarray(results)

    return call


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
