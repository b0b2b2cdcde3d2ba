"""Softmax."""

from chainlite._fused import Fused
from chainlite.backends.cpu.softmax import softmax as softmax_kernel
from chainlite.backends.cpu.softmax import softmax_grad
from chainlite.functions.math.exponential import exp
from chainlite.functions.math.sum import sum
from chainlite.variable import Variable, as_variable


class Softmax(Fused):
    check = 'x: f (_ *_)'

    def __init__(self, axis=1):
        self.axis = axis

    def formula(self, x):
        e = exp(x - Variable(x.array.max(self.axis, keepdims=True), requires_grad=False))
        return e / sum(e, self.axis, keepdims=True)

    def forward_kernel(self, x):
        y = softmax_kernel(x, self.axis)
        return y, y

    def backward_kernel(self, y, gy, x):
        return (softmax_grad(y, gy, self.axis),)


def softmax(x, axis=1):
    """exp(x) / sum(exp(x)) along an axis.

    Args:
        x: float array of at least one axis.
        axis: int, the axis that sums to one.
    """
    return Softmax(axis).apply((as_variable(x),))[0]
