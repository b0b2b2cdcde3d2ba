"""Inverse matrices."""

import numpy as np

from chainlite import backend
from chainlite.backends import cuda
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.functions.math.matmul import matmul


def inverse(a):
    """Inverses of the matrices in the last two axes; 16 bits are computed in 32.

    Singular matrices are an error; on a GPU only in debug mode, as looking for them waits for the device.
    """
    wide = a.astype(np.float32) if a.dtype.itemsize == 2 else a
    try:
        with cuda.linalg_errors(config.debug):
            y = backend.get_array_module(a).linalg.inv(wide)
    except np.linalg.LinAlgError:
        raise ValueError('Input has singular matrices.')
    return y.astype(a.dtype, copy=False)


class Inv(FunctionNode):
    check = 'a: f (n n)'

    def forward(self, inputs):
        self.retain_outputs((0,))
        return (inverse(inputs[0]),)

    def backward(self, target_input_indexes, grad_outputs):
        (y,) = self.get_retained_outputs()
        return (-matmul(matmul(y, grad_outputs[0], transa=True), y, transb=True),)


class BatchInv(Inv):
    check = 'a: f (b n n)'


def inv(a):
    """Inverse of a matrix.

    Args:
        a: float array (n, n).

    Raises:
        ValueError: the matrix is singular.
    """
    return Inv().apply((a,))[0]


def batch_inv(a):
    """Inverse of each matrix of a batch.

    Args:
        a: float array (b, n, n).

    Raises:
        ValueError: a matrix is singular.
    """
    return BatchInv().apply((a,))[0]
