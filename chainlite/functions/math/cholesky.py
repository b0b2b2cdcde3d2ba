"""Cholesky decomposition."""

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.math.inv import inv
from chainlite.functions.math.matmul import matmul
from chainlite.variable import Variable


class Cholesky(FunctionNode):
    check = 'a: f (n n)'
    label = 'cholesky'

    def forward(self, inputs):
        self.retain_outputs((0,))
        (a,) = inputs
        wide = a.astype(np.float32) if a.dtype.itemsize == 2 else a
        return (backend.get_array_module(a).linalg.cholesky(wide).astype(a.dtype, copy=False),)

    def backward(self, target_input_indexes, grad_outputs):
        # With y y^T = a:  ga = y^-T phi(y^T gy) y^-1, where phi takes the lower triangle and half of the diagonal. The
        # input counts as symmetric: the gradient is, too.
        (y,) = self.get_retained_outputs()
        xp, n = backend.get_array_module(y), len(y)
        phi = Variable(xp.asarray(np.tril(np.ones((n, n))) - np.eye(n) / 2).astype(y.dtype), requires_grad=False)
        inverse = inv(y)
        middle = phi * matmul(y, grad_outputs[0], transa=True)
        ga = matmul(matmul(inverse, middle, transa=True), inverse)
        return ((ga + ga.T) * 0.5,)


def cholesky(a):
    """The lower triangular y with y y^T = a.

    Args:
        a: float array (n, n), symmetric and positive definite.
    """
    return Cholesky().apply((a,))[0]
