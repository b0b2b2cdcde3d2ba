"""Determinants."""

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.transpose import transpose
from chainlite.functions.math.inv import batch_inv
from chainlite.utils.type_check import compile_check
from chainlite.variable import as_variable

_check_matrix = compile_check('x: f (n n)')


class BatchDet(FunctionNode):
    check = 'x: f (b n n)'
    label = 'det'

    def forward(self, inputs):
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        (x,) = inputs
        wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
        return (backend.get_array_module(x).linalg.det(wide).astype(x.dtype, copy=False),)

    def backward(self, target_input_indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        (y,) = self.get_retained_outputs()
        cofactors = broadcast_to(reshape(grad_outputs[0] * y, (len(x), 1, 1)), x.shape)
        return (cofactors * transpose(batch_inv(x), (0, 2, 1)),)


def batch_det(a):
    """Determinant of each matrix of a batch; the gradient needs matrices that can be inverted.

    Args:
        a: float array (b, n, n).

    Returns:
        Variable of shape (b,).
    """
    return BatchDet().apply((a,))[0]


def det(a):
    """Determinant of a matrix; the gradient needs a matrix that can be inverted.

    Args:
        a: float array (n, n).

    Returns:
        Variable of shape ().
    """
    a = as_variable(a)
    _check_matrix('det', (a.array,))
    return reshape(batch_det(reshape(a, (1, *a.shape))), ())
