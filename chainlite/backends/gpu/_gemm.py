"""Matrix products by cuBLAS, with what cupy.matmul does not offer: stacks that repeat a matrix without copying it or
listing pointers, transposed views, results in more bits than the factors, and adding to what is there.

Products of 16-bit numbers are summed in 32 bits. Those of 32-bit numbers are made in 32 bits, or with
`config.compute_mode = 'tf32'` of factors rounded to TF32.
"""

import ctypes
import functools
import os
from typing import Any, NamedTuple

import numpy as np

from chainlite.backends import cuda
from chainlite.configuration import config

_CUDA_TYPES = {'e': 2, 'E': 14, 'f': 0, 'd': 1}  # cudaDataType, by the character of the dtype
_CONSTANTS = [np.array([0, 1], 'f'), np.array([0, 1], 'd')]
_FLOATS, _DOUBLES = [(c.ctypes.data, c.ctypes.data + c.itemsize) for c in _CONSTANTS]  # what alpha and beta point to


@functools.cache
def _cublas():
    from cupy_backends.cuda.libs import cublas

    return cublas


@functools.cache
def _library():
    """cuBLAS without CuPy, which has loaded it."""
    major = cuda.cupy.cuda.runtime.runtimeGetVersion() // 1000
    library = ctypes.CDLL(f'cublas64_{major}.dll' if os.name == 'nt' else f'libcublas.so.{major}')
    pointer, integer, long = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
    matrix = pointer, integer, integer, long
    library.cublasSetStream_v2.argtypes = pointer, pointer
    library.cublasSetWorkspace_v2.argtypes = pointer, pointer, ctypes.c_size_t
    library.cublasGemmStridedBatchedEx.argtypes = (
        *(pointer, *[integer] * 5, pointer, *matrix, *matrix, pointer, *matrix),
        *[integer] * 3,
    )
    return library


@functools.cache
def _workspace(device):
    """Memory for cuBLAS in CUDA graphs: as much as it takes by itself, so that it chooses the same algorithms."""
    return cuda.cupy.cuda.Memory(32 << 20 if int(cuda.cupy.cuda.Device(device).compute_capability) >= 90 else 4 << 20)


def _gemm_in_graph(handle, *arguments):
    """cublasGemmStridedBatchedEx while the current stream is captured, where CuPy refuses to call it."""
    library = _library()
    stream = cuda.cupy.cuda.get_current_stream()
    workspace = _workspace(stream.device_id)  # given to it, as it would have to allocate its own
    for status in (
        library.cublasSetStream_v2(handle, stream.ptr),  # CuPy sets it again before each call of its own
        library.cublasSetWorkspace_v2(handle, workspace.ptr, workspace.size),
        library.cublasGemmStridedBatchedEx(handle, *arguments),
    ):
        if status:
            raise _cublas().CUBLASError(status)


class Matrix(NamedTuple):
    """A stack of matrices in an array: whether it holds their transposes, and how many numbers its rows are apart, and
    the matrices (0: one for all)."""

    array: Any
    turned: bool
    row: int
    step: int


def multiply(a, b, out, s, m, n, k, add=False):
    """Matrices out = a @ b, or out += a @ b: s products of (m, k) and (k, n).

    Both factors have one dtype, the result that, or more bits. The rows of `out` are not transposed.
    """
    cublas, x, y, z = _cublas(), a.array, b.array, out.array
    kind, out_kind = x.dtype.char, z.dtype.char
    if out_kind == 'd':
        constants, compute = _DOUBLES, cublas.CUBLAS_COMPUTE_64F
    elif kind == 'f' and config.compute_mode == 'tf32':
        constants, compute = _FLOATS, cublas.CUBLAS_COMPUTE_32F_FAST_TF32
    else:
        constants, compute = _FLOATS, cublas.CUBLAS_COMPUTE_32F
    zero, one = constants
    # cuBLAS counts along columns first: it sees transposed matrices, and computes out.T = b.T @ a.T
    arguments = (
        cuda.cupy.cuda.device.get_cublas_handle(),
        *(int(b.turned), int(a.turned), n, m, k, one),
        *(y.data.ptr, _CUDA_TYPES[kind], b.row, b.step),
        *(x.data.ptr, _CUDA_TYPES[kind], a.row, a.step),
        *(one if add else zero, z.data.ptr, _CUDA_TYPES[out_kind], out.row, out.step),
        *(s, compute, cublas.CUBLAS_GEMM_DEFAULT),
    )
    try:
        cublas.gemmStridedBatchedEx(*arguments)
    except NotImplementedError:
        _gemm_in_graph(*arguments)


def _stack(a):
    size = a.itemsize
    s, m, k = a.shape
    step, rows, columns = [stride // size for stride in a.strides]
    step = step if s > 1 else 0
    if columns == 1 or k == 1:
        return Matrix(a, False, rows if m > 1 else k, step)
    return Matrix(a, True, columns, step)


def gemm(a, b, out, add=False):
    """out = a @ b, or out += a @ b.

    Args:
        a, b, out: stacks (s, m, k), (s, k, n), (s, m, n); a or b may hold one matrix for all. The matrices of a and b
            are contiguous along an axis, those of out along the last. a and b have one dtype, out that or more bits.
    """
    multiply(_stack(a), _stack(b), _stack(out), *out.shape, a.shape[2], add)
    return out
