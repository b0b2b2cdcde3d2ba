"""Exponential linear unit."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import expm1, minimum, where


@elementwise
def ELU(x, *, alpha):
    return where(x > 0, x, alpha * expm1(minimum(x, 0)))


@ELU.gradient
def _(x, y, gy, *, alpha):
    return where(x > 0, gy, gy * (y + alpha))


def elu(x, alpha=1.0):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere.

    Args:
        x: float array of any shape.
        alpha: float.

    See: https://arxiv.org/abs/1511.07289
    """
    return ELU(alpha=alpha).apply((x,))[0]
