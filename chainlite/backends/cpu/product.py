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
    if 2 in (a.dtype.itemsize, b.dtype.itemsize) and (isinstance(a, np.ndarray) or 'V' in a.dtype.kind + b.dtype.kind):
        dtype = np.result_type(a.dtype, b.dtype, np.float32)
        a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    if a.ndim == b.ndim == 2:
        return a.dot(b)
    return backend.get_array_module(a).matmul(a, b)


@Kernel
def product_into(a, b, out):
    """out[...] = a @ b of two matrices; all are of one dtype, and out is C-contiguous."""
    backend.get_array_module(a).dot(a, b, out=out)
