"""Swish."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import sigmoid
from chainlite.functions.activation.prelu import along_sample
from chainlite.variable import as_variable


@elementwise(check='x: f, beta: =x')
def Swish(x, beta):
    return x * sigmoid(beta * x)


def swish(x, beta):
    """x * sigmoid(beta * x).

    Args:
        x: float array (n, *s).
        beta: float array of the first axes of s.

    See: https://arxiv.org/abs/1710.05941
    """
    x, beta = as_variable(x), as_variable(beta)
    return Swish().apply((x, along_sample(Swish(), x, beta, 'beta')))[0]
