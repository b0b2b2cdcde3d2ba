"""Matrix products by cuBLAS, with what cupy.matmul does not offer: stacks that repeat a matrix without copying it or
listing pointers, transposed views, results in more bits than the factors, and adding to what is there.

Products of 16-bit numbers are summed in 32 bits. Those of 32-bit numbers are made in 32 bits, or with
`config.compute_mode = 'tf32'` of factors rounded to TF32.
"""

import ctypes
import functools
import os

import numpy as np

from chainlite.backends import cuda
from chainlite.configuration import config

_CUDA_TYPES = {'e': 2, 'E': 14, 'f': 0, 'd': 1}  # cudaDataType, by the character of the dtype
_CONSTANTS = {'f': np.array([0, 1], 'f'), 'd': np.array([0, 1], 'd')}  # what alpha and beta point to


_WORKSPACE = 32 << 20  # bytes that cuBLAS may use in a CUDA graph: what it takes by itself on large devices


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
    return cuda.cupy.cuda.Memory(_WORKSPACE)


def _gemm_in_graph(handle, *arguments):
    """cublasGemmStridedBatchedEx while the current stream is captured, where CuPy refuses to call it."""
    library = _library()
    stream = cuda.cupy.cuda.get_current_stream()
    workspace = _workspace(stream.device_id)  # given to it, as it would have to allocate its own
    for status in (
        library.cublasSetStream_v2(handle, stream.ptr),  # CuPy sets it again before each call of its own
        library.cublasSetWorkspace_v2(handle, workspace.ptr, _WORKSPACE),
        library.cublasGemmStridedBatchedEx(handle, *arguments),
    ):
        if status:
            raise _cublas().CUBLASError(status)


def _layout(a):
    """Whether the columns of the matrices are contiguous, not the rows; the distance of those; that of the matrices."""
    size = a.itemsize
    s, m, k = a.shape
    step, rows, columns = [stride // size for stride in a.strides]
    step = step if s > 1 else 0
    if columns == 1 or k == 1:
        return 0, rows if m > 1 else k, step
    return 1, columns, step


def gemm(a, b, out, add=False):
    """out = a @ b, or out += a @ b.

    Args:
        a, b, out: stacks (s, m, k), (s, k, n), (s, m, n); a or b may hold one matrix for all. The matrices of a and b
            are contiguous along an axis, those of out along the last. a and b have one dtype, out that or more bits.
    """
    cublas = _cublas()
    dtype = out.dtype if out.dtype == 'd' else np.dtype('f')
    constants = _CONSTANTS[dtype.char].ctypes.data
    one, beta = constants + dtype.itemsize, constants + (dtype.itemsize if add else 0)
    s, m, n = out.shape
    a_turned, lda, a_step = _layout(a)
    b_turned, ldb, b_step = _layout(b)
    _, ldout, out_step = _layout(out)
    kind, out_kind = _CUDA_TYPES[a.dtype.char], _CUDA_TYPES[out.dtype.char]
    if dtype == 'd':
        compute = cublas.CUBLAS_COMPUTE_64F
    elif a.dtype == 'f' and config.compute_mode == 'tf32':
        compute = cublas.CUBLAS_COMPUTE_32F_FAST_TF32
    else:
        compute = cublas.CUBLAS_COMPUTE_32F
    # cuBLAS counts along columns first: it sees transposed matrices, and computes out.T = b.T @ a.T
    arguments = (
        cuda.cupy.cuda.device.get_cublas_handle(),
        *(b_turned, a_turned),
        *(n, m, a.shape[2]),
        one,
        *(b.data.ptr, kind, ldb, b_step),
        *(a.data.ptr, kind, lda, a_step),
        beta,
        *(out.data.ptr, out_kind, ldout, out_step),
        *(s, compute, cublas.CUBLAS_GEMM_DEFAULT),
    )
    try:
        cublas.gemmStridedBatchedEx(*arguments)
    except NotImplementedError:
        _gemm_in_graph(*arguments)
    return out
