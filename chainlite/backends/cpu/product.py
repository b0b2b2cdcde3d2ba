"""Matrix products."""

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel


@Kernel
def product(a, b):
    """a @ b of two matrices, or of stacks of them, which broadcast.

    On the CPU 16 bits are multiplied in 32, which the result then has; an accelerator knows by itself, but CuPy has no
    products of bfloat16.
    """
    half = a.itemsize == 2 or b.itemsize == 2
    if half and (isinstance(a, np.ndarray) or 'V' in a.dtype.kind + b.dtype.kind):
        dtype = np.result_type(a.dtype, b.dtype, np.float32)
        a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    if a.ndim == b.ndim == 2:
        if b.size > 1 << 14 and isinstance(a, np.ndarray) and _is_faster_transposed(a, b):
            return np.ascontiguousarray(b.T.dot(a.T).T)
        return a.dot(b)
    return backend.get_array_module(a).matmul(a, b)


def _is_faster_transposed(a, b):
    """Few rows times a transposed matrix, such as x W^T of a small batch: OpenBLAS takes up to twice as long for it as
    for W x^T."""
    m, (k, n) = len(a), b.shape
    return m <= 64 and n >= 4 * m and m * k * n >= 1 << 20 and b.T.flags.c_contiguous and a.dtype == b.dtype == 'f'


@Kernel
def product_into(a, b, out):
    """out[...] = a @ b of two matrices; all are of one dtype, and out is C-contiguous."""
    backend.get_array_module(a).dot(a, b, out=out)
