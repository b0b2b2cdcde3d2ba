"""Products of sparse and dense matrices."""

import numpy as np

from chainlite import backend
from chainlite.backends.cpu.indexing import add_at
from chainlite.function_node import FunctionNode
from chainlite.functions.array.cast import cast
from chainlite.functions.array.get_item import get_item
from chainlite.functions.array.swapaxes import swapaxes
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.utils.sparse import CooMatrix


class CooMatMul(FunctionNode):
    """op(sparse) @ op(dense), where op may transpose; so may be the result. Batches of matrices, or one matrix.

    Its inputs are the values of the sparse matrix and the dense one.
    """

    def __init__(
        self, sp_row, sp_col, sp_shape, sp_order='other', transa=False, transb=False, transc=False, dtype=None
    ):
        self.row, self.col, self.shape = (sp_col, sp_row, sp_shape[::-1]) if transa else (sp_row, sp_col, sp_shape)
        self.transb, self.transc, self.dtype = transb, transc, dtype

    def check_type_forward(self, in_types):
        type_check.argname(in_types, ('sp', 'dn'))
        sp, dn = in_types
        type_check.expect(
            sp.dtype.kind == 'f', dn.dtype.kind == 'f', dn.ndim >= 2, dn.ndim <= 3, sp.ndim == dn.ndim - 1
        )
        if type_check.eval(sp.ndim) == 2:
            type_check.expect(sp.shape[0] == dn.shape[0])
        type_check.expect(dn.shape[-1 if self.transb else -2] == self.shape[1])

    def forward(self, inputs):
        self.retain_inputs((0, 1))
        sp, dn = inputs
        dtype = self.dtype or np.result_type(sp.dtype, dn.dtype)
        wide = np.promote_types(dtype, np.float32)
        dn = (dn.swapaxes(-1, -2) if self.transb else dn).astype(wide, copy=False)
        xp = backend.get_array_module(sp)
        row, col, there = self._places(xp)
        y = add_at(sp[there].astype(wide)[:, None] * dn[col], row, (*dn.shape[:-2], self.shape[0], dn.shape[-1]))
        y = y.astype(dtype, copy=False)
        return ((y.swapaxes(-1, -2) if self.transc else y),)

    def _places(self, xp):
        """Indexes of the rows of the result and of the dense matrix, and which values are there."""
        there = self.row >= 0
        row, col = (self.row[there],), (self.col[there],)
        if self.row.ndim == 2:
            batch = there.nonzero()[0]
            row, col = (batch, *row), (batch, *col)
        return row, col, there

    def backward(self, target_input_indexes, grad_outputs):
        sp, dn = self.get_retained_inputs()
        gy = swapaxes(grad_outputs[0], -1, -2) if self.transc else grad_outputs[0]
        gxs = []
        for i in target_input_indexes:
            if i == 0:
                gxs.append(self._gradient_of_values(sp, swapaxes(dn, -1, -2) if self.transb else dn, gy))
            else:
                transposed = CooMatMul(self.col, self.row, self.shape[::-1], transc=self.transb, dtype=dn.dtype)
                gxs += transposed.apply((sp, gy))
        return tuple(gxs)

    def _gradient_of_values(self, sp, dn, gy):
        """At each value: the row of gy that it went to times the row of dn that it multiplied."""
        xp = backend.get_array_module(sp)
        batch = (xp.arange(len(self.row))[:, None],) if self.row.ndim == 2 else ()
        there = (self.row >= 0).astype(sp.dtype)
        row, col = xp.maximum(self.row, 0), xp.maximum(self.col, 0)
        g = sum(get_item(gy, (*batch, row)) * cast(get_item(dn, (*batch, col)), gy.dtype), -1)
        return cast(g, sp.dtype) * there


def sparse_matmul(a, b, transa=False, transb=False):
    """Product of matrices, one of which is sparse; or of each pair in a batch.

    Args:
        a, b: a `CooMatrix` (m, k) or (n, m, k) and a float array (k, l) or (n, k, l), or the other way round.
        transa, transb: whether to transpose the matrices first.

    Returns:
        Variable of shape (m, l) or (n, m, l).
    """
    if isinstance(a, CooMatrix) and not isinstance(b, CooMatrix):
        return CooMatMul(a.row, a.col, a.shape, a.order, transa, transb).apply((a.data, b))[0]
    if isinstance(b, CooMatrix) and not isinstance(a, CooMatrix):  # a b = (b^T a^T)^T
        return CooMatMul(b.row, b.col, b.shape, b.order, not transb, not transa, True).apply((b.data, a))[0]
    raise ValueError(f'This combination of type of inputs is not supported.\n    a: {type(a)}\n    b: {type(b)}\n')
