"""Softplus, the smooth rectifier."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import exp, log1p, maximum, sigmoid


@elementwise
def Softplus(x, *, beta):
    bx = beta * x
    return (maximum(bx, 0) + log1p(exp(-abs(bx)))) / beta


@Softplus.gradient
def _(x, gy, *, beta):
    return gy * sigmoid(beta * x)


def softplus(x, beta=1.0):
    """log(1 + exp(beta * x)) / beta, elementwise and without overflow.

    Args:
        x: float array of any shape.
        beta: float; the larger, the closer to `relu`.
    """
    return Softplus(beta=beta).apply((x,))[0]
