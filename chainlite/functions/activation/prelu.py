"""Parametric rectifier."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import where
from chainlite.functions.array.reshape import reshape
from chainlite.utils import type_check
from chainlite.variable import as_variable


@elementwise(check='x: f, W: =x')
def PReLUFunction(x, W):
    return where(x >= 0, x, W * x)


def prelu(x, W):
    """x where it is positive, W * x elsewhere.

    Args:
        x: float array (n, *s).
        W: float array of the first axes of s, the learned slopes.

    See: https://arxiv.org/abs/1502.01852
    """
    x, W = as_variable(x), as_variable(W)
    return PReLUFunction().apply((x, along_sample(PReLUFunction(), x, W, 'W')))[0]


def along_sample(function, x, W, name):
    """W in the shape that broadcasts over the batch axis and the last axes of x, after a check that it fits."""
    if x.shape[1 : W.ndim + 1] != W.shape:
        with type_check.get_function_check_context(function):
            x_type, W_type = type_check.make_variable(x.array, 'x'), type_check.make_variable(W.array, name)
            type_check.expect(x_type.shape[1 : W.ndim + 1] == W_type.shape)
    return reshape(W, (1, *W.shape, *[1] * (x.ndim - W.ndim - 1)))
