"""Logarithm of softmax."""

from chainlite._fused import Fused
from chainlite.backends.cpu.softmax import log_softmax as log_softmax_kernel
from chainlite.backends.cpu.softmax import log_softmax_grad
from chainlite.functions.array.expand_dims import expand_dims
from chainlite.functions.math.logsumexp import logsumexp
from chainlite.variable import as_variable


class LogSoftmax(Fused):
    check = 'x: f (_ *_)'

    def __init__(self, axis=1):
        self.axis = axis

    def formula(self, x):
        return x - expand_dims(logsumexp(x, self.axis), self.axis)

    def forward_kernel(self, x):
        y = log_softmax_kernel(x, self.axis)
        return y, y

    def backward_kernel(self, y, gy, x):
        return (log_softmax_grad(y, gy, self.axis),)


def log_softmax(x, axis=1):
    """x - log(sum(exp(x))) along an axis, without overflow.

    Args:
        x: float array of at least one axis.
        axis: int.
    """
    return LogSoftmax(axis).apply((as_variable(x),))[0]
