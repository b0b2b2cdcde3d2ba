"""Logarithm of a sum of exponentials."""

from chainlite import backend
from chainlite.functions.math.exponential import exp, log
from chainlite.functions.math.sum import check_axes, sum
from chainlite.variable import Variable, as_variable


def logsumexp(x, axis=None):
    """log(sum(exp(x))) over axes, without overflow.

    Args:
        x: float array.
        axis: int or tuple of ints; all axes if None.
    """
    x = as_variable(x)
    check_axes('LogSumExp', axis, x.ndim)
    xp = backend.get_array_module(x.array)
    top = xp.asarray(x.array.max(axis=axis, keepdims=True))
    xp.copyto(top, xp.zeros_like(top), where=~(abs(top) < float('inf')))  # an infinite maximum would give NaN
    y = log(sum(exp(x - Variable(top, requires_grad=False)), axis))
    return y + Variable(top.reshape(y.shape), requires_grad=False)
