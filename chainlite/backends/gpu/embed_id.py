"""Rows by their numbers; see cpu.embed_id for what the arguments are, and kernels/embed_id.cu."""

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.embed_id import add_rows, take_rows
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import alike, contiguous, function, index_type, is_float, launch, pack_size
from chainlite.backends.gpu._sort import argsort

_CHUNK = 32  # as in the CUDA source


def _numbers(x, v, ignored):
    """x, flat, and the arguments that say which rows it means."""
    kind = x.dtype if x.dtype.char in 'bBhilq' else np.dtype('q')
    (x,) = alike(kind, x)
    return x, (v, 0 if ignored is None else int(ignored), ignored is not None)


def _takes(a, x, v):
    return is_float(a) and isinstance(x, cuda.cupy.ndarray) and x.size > 0 and 0 < v < 1 << 31


@take_rows.when(gpu, lambda W, x, ignored: W.ndim == 2 and _takes(W, x, len(W)))
def _(W, x, ignored):
    (W,) = contiguous(W)
    v, d = W.shape
    x, which = _numbers(x, v, ignored)
    y = cuda.cupy.empty((*x.shape, d), W.dtype)
    pack = pack_size(d, W)
    run = function('embed_id.take_rows', W.dtype, x.dtype, index_type(y), pack)
    launch(run, y.size // pack, W, x, y, *which, d // pack)
    return y


@add_rows.when(gpu, lambda gy, x, shape, dtype, ignored: gy.dtype == dtype and _takes(gy, x, shape[0]))
def _(gy, x, shape, dtype, ignored):
    (gy,) = contiguous(gy)
    v, d = shape
    x, which = _numbers(x, v, ignored)
    n, chunks = x.size, -(-x.size // _CHUNK)
    pack = pack_size(d, gy)
    keys = cuda.cupy.empty(n, 'i')
    launch(function('embed_id.number_keys', x.dtype), n, x, keys, *which)
    order = argsort(keys)
    types = dtype, index_type(gy), pack
    parts = cuda.cupy.empty((chunks, d), np.result_type(dtype, 'f'))
    rows = gy, keys, order, parts
    launch(function('embed_id.sum_parts', *types), chunks * d // pack, *rows, n, d // pack)
    gW = cuda.cupy.zeros(shape, dtype)
    launch(function('embed_id.add_rows', *types), gy.size // pack, *rows, gW, v, n, d // pack)
    return gW
