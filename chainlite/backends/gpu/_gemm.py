"""Matrix products by cuBLAS, with what cupy.matmul does not offer: stacks that repeat a matrix without copying it or
listing pointers, transposed views, results in more bits than the factors, and adding to what is there.

Products of 16-bit numbers are summed in 32 bits. Those of 32-bit numbers are made in 32 bits, or with
`config.compute_mode = 'tf32'` of factors rounded to TF32.
"""

import ctypes
import functools
import os
from typing import NamedTuple

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


class Form(NamedTuple):
    """How an array is a stack of matrices: whether it holds their transposes, and how many numbers its rows are apart,
    and the matrices (0: one for all)."""

    turned: bool
    row: int
    step: int


class Product:
    """Products out = a @ b, or out += a @ b, of matrices in arrays yet to be named.

    Args:
        kind, out_kind: dtypes of the factors, and of the result, which has that or more bits.
        a, b, out: forms; the rows of `out` are not transposed.
        s, m, n, k: s products of (m, k) and (k, n).
    """

    def __init__(self, kind, out_kind, a, b, out, s, m, n, k):
        cublas, kind, out_kind = _cublas(), kind.char, out_kind.char
        double = out_kind == 'd'
        self.zero, self.one = _DOUBLES if double else _FLOATS
        self.compute = cublas.CUBLAS_COMPUTE_64F if double else cublas.CUBLAS_COMPUTE_32F
        self.compute_fast = cublas.CUBLAS_COMPUTE_32F_FAST_TF32 if kind == 'f' and not double else self.compute
        # cuBLAS counts along columns first: it sees transposed matrices, and computes out.T = b.T @ a.T
        self.sizes = int(b.turned), int(a.turned), n, m, k, self.one
        self.a, self.b = [(_CUDA_TYPES[kind], form.row, form.step) for form in (a, b)]
        self.out, self.rest = (_CUDA_TYPES[out_kind], out.row, out.step, s), cublas.CUBLAS_GEMM_DEFAULT
        self.run = cublas.gemmStridedBatchedEx

    def __call__(self, a, b, out, add=False):
        arguments = (
            cuda.cupy.cuda.device.get_cublas_handle(),
            *self.sizes,
            b.data.ptr,
            *self.b,
            a.data.ptr,
            *self.a,
            self.one if add else self.zero,
            out.data.ptr,
            *self.out,
            self.compute_fast if config.compute_mode == 'tf32' else self.compute,
            self.rest,
        )
        try:
            self.run(*arguments)
        except NotImplementedError:
            _gemm_in_graph(*arguments)


def _form(shape, strides, size):
    s, m, k = shape
    step, rows, columns = [stride // size for stride in strides]
    step = step if s > 1 else 0
    if columns == 1 or k == 1:
        return Form(False, rows if m > 1 else k, step)
    return Form(True, columns, step)


@functools.lru_cache(4096)
def _product(kind, out_kind, *layouts):
    forms = [_form(*layout, size.itemsize) for layout, size in zip(layouts, (kind, kind, out_kind))]
    (_, _, k), _ = layouts[0]
    return Product(kind, out_kind, *forms, *layouts[2][0], k)


def gemm(a, b, out, add=False):
    """out = a @ b, or out += a @ b.

    Args:
        a, b, out: stacks (s, m, k), (s, k, n), (s, m, n); a or b may hold one matrix for all. The matrices of a and b
            are contiguous along an axis, those of out along the last. a and b have one dtype, out that or more bits.
    """
    layouts = (a.shape, a.strides), (b.shape, b.strides), (out.shape, out.strides)
    _product(a.dtype, out.dtype, *layouts)(a, b, out, add)
    return out
