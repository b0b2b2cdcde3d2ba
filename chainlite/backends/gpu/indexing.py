"""The transpose of indexing; see cpu.indexing. Places are summed as rows of a table are: in a fixed order."""

from math import prod

from chainlite.backends import cuda
from chainlite.backends.cpu.embed_id import add_rows
from chainlite.backends.cpu.indexing import add_at
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import is_float


@add_at.when(gpu, lambda y, index, shape: is_float(y) and 0 < prod(shape) < 1 << 31)
def _(y, index, shape):
    first = index[0]
    if len(index) == 1 and isinstance(first, cuda.cupy.ndarray) and first.dtype.kind in 'iu':  # whole rows
        numbers, table = first, (shape[0], prod(shape[1:]))
    else:
        numbers, table = cuda.cupy.arange(prod(shape), dtype='i').reshape(shape)[index], (prod(shape), 1)
        y = cuda.cupy.broadcast_to(y, numbers.shape)
    return add_rows(y.reshape(-1, table[1]), numbers.reshape(-1), table, y.dtype, None).reshape(shape)
