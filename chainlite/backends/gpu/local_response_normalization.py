"""Normalization by neighbouring channels; see cpu.local_response_normalization for what the arguments are, and
kernels/local_response_normalization.cu."""

from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.local_response_normalization import normalize, normalize_grad
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import alike, function, index_type, is_float, launch, pack_size


def _run(name, arrays, n, *numbers):
    """Runs the function over arrays of the same shape."""
    x = arrays[0]
    inner = prod(x.shape[2:])
    pack = pack_size(inner, *arrays)
    run = function(f'local_response_normalization.{name}', x.dtype, index_type(x), pack)
    half = min(max(n // 2, 0), x.shape[1])
    launch(run, x.size // pack, *arrays, half, *map(float, numbers), x.shape[1], inner // pack)


@normalize.when(gpu, lambda x, *_: is_float(x))
def _(x, n, k, alpha, beta):
    (x,) = alike(x.dtype, x)
    y, scale = cuda.cupy.empty(x.shape, x.dtype), cuda.cupy.empty(x.shape, np.result_type(x.dtype, 'f'))
    _run('lrn', (x, y, scale), n, k, alpha, beta)
    return y, scale


@normalize_grad.when(gpu, lambda gy, x, kept, *_: is_float(gy, x, kept))
def _(gy, x, scale, n, k, alpha, beta):
    gy, x = alike(x.dtype, gy, x)
    gx = cuda.cupy.empty(x.shape, x.dtype)
    _run('lrn_grad', (gy, x, scale, gx), n, alpha, beta)
    return gx
