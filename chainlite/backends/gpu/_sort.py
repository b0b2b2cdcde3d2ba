"""The order that sorts numbers, also while a CUDA graph is captured; see kernels/sort.cu."""

import functools

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.gpu import _graph
from chainlite.backends.gpu._launch import function, launch

_TILE = 2048  # as in the CUDA source
_FEW = 1 << 14  # up to which a dozen launches are no more than what CuPy does


def argsort(keys):
    """Stable argsort of int32 numbers: int64 array (n)."""
    _kernels(keys.dtype)  # compiled here, for captures to come
    if keys.size <= _FEW or _graph.is_capturing():
        return bitonic_argsort(keys)
    return keys.argsort()  # which waits for the device


@functools.cache
def _kernels(dtype):
    names = [('make_pairs', dtype), ('sort_tiles',), ('merge_tiles',), ('merge_far',), ('places', np.dtype('q'))]
    return [function(f'sort.{name}', *types) for name, *types in names]


def bitonic_argsort(keys):
    """The same by kernels of ours alone."""
    make_pairs, sort_tiles, merge_tiles, merge_far, places = _kernels(keys.dtype)
    n = keys.size
    size = max(_TILE, 1 << (n - 1).bit_length()) if n else 0
    pairs, order = cuda.cupy.empty(size, np.uint64), cuda.cupy.empty(n, np.int64)
    launch(make_pairs, size, keys, pairs, n)
    tiles = (size // _TILE,), (_TILE // 2,)
    if size:
        sort_tiles(*tiles, (pairs,))
    span = 2 * _TILE
    while span <= size:
        distance = span // 2
        while distance >= _TILE:
            launch(merge_far, size // 2, pairs, span, distance)
            distance //= 2
        merge_tiles(*tiles, (pairs, span))
        span *= 2
    launch(places, n, pairs, order)
    return order
