"""Matrix products."""

import numpy as np

from chainlite.backends.cpu.product import product
from chainlite.backends.onednn import _library, _threads
from chainlite.backends.onednn._backend import can_multiply, onednn
from chainlite.backends.onednn._primitive import DST, SRC, WEIGHTS, Descriptors, Operation, address

# Numbers of multiplications: from where oneDNN is faster than NumPy's BLAS, and from where its function is faster than
# its primitive, which suits smaller products, and those with a transposed matrix on the right, but for few rows: there
# it takes up to twice as long.
_WORTH, _LARGE = 1 << 20, 1 << 24
_FEW = 8


def _is_large(a, b):
    if a.size < _WORTH and a.size * b.shape[-1] < _WORTH:  # mostly
        return False
    if a.ndim < 2 or b.ndim < 2 or a.ndim > 2 and a.shape[:-2] != b.shape[:-2]:
        return False
    (m, k), n = a.shape[-2:], b.shape[-1]
    return m > 1 and n > 1 and m * n * k >= _WORTH and can_multiply(a, b)


def _operand(x):
    """(array, whether its rows are contiguous or its columns, the distance of these): x, or a copy."""
    (rows, columns), (down, right), size = x.shape, x.strides, x.itemsize
    if right == size and down >= size * columns and down % size == 0:
        return x, b'N', down // size
    if down == size and right >= size * rows and right % size == 0:
        return x, b'T', right // size
    x = np.ascontiguousarray(x)
    return x, b'N', columns


def _build(dtype, shape, a_order, a_step, b_order, b_step):
    m, k, n = shape
    with Descriptors(dtype) as make:
        a = make.strided((m, k), (a_step, 1) if a_order == b'N' else (1, a_step))
        b = make.strided((k, n), (b_step, 1) if b_order == b'N' else (1, b_step))
        y = make.plain((m, n))
        primitive = make.primitive('matmul', a, b, None, y)
        return Operation(make, primitive, (SRC, a, False), (WEIGHTS, b, False), (DST, y, True))


def _is_faster_transposed(m, k):
    """Whether x W^T, of m rows, is better computed as W x^T.

    The primitive copies what is on the right, which is then x in place of the larger W, and computes 16 columns at a
    time. It reads the rows of W where they are, and of as many as lie 4 KB apart the cache holds few; longer ones it
    takes in pieces.
    """
    return m in (16, 32, 48) and k != 1024


def _multiply(a, b, y):
    a, a_order, a_step = _operand(a)
    b, b_order, b_step = _operand(b)
    (m, k), n = a.shape, b.shape[1]
    if b_order == b'T' and a_order == b'N' and _is_faster_transposed(m, k):
        y_t = np.empty((n, m), y.dtype)
        _threads.operation(_build, y.dtype, (n, k, m), b'N', b_step, b'T', a_step)(b, a, y_t)
        y[...] = y_t.T
        return
    suits_function = m <= _FEW if b_order == b'T' else m * n * k >= _LARGE
    if y.itemsize == 2 or not suits_function:
        _threads.operation(_build, y.dtype, (m, k, n), a_order, a_step, b_order, b_step)(a, b, y)
        return
    _threads.prepare()
    sgemm = _library.library().sgemm
    status = sgemm(a_order, b_order, m, n, k, 1, address(a), a_step, address(b), b_step, 0, address(y), n)
    if status:
        _library.check(status, 'sgemm')


@product.when(onednn, _is_large)
def _(a, b):
    y = np.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    if y.ndim == 2:
        _multiply(a, b, y)
    else:
        for index in np.ndindex(y.shape[:-2]):
            _multiply(a[index], b[index], y[index])
    return y
