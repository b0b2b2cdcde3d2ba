"""Vectors of length 1."""

from chainlite import backend
from chainlite._fused import Fused
from chainlite.functions.array.where import where
from chainlite.functions.math.sqrt import sqrt
from chainlite.functions.math.sum import sum


class NormalizeL2(Fused):
    """Divides vectors by their lengths.

    Attributes:
        eps: added to the lengths.
        axis: int or tuple: the axes that the vectors lie along.
    """

    check = '*xs: f'

    def __init__(self, eps=1e-5, axis=1):
        self.eps = eps
        self.axis = (axis,) if isinstance(axis, int) else axis

    def _wide(self, *arrays):
        return [a.astype('f') if a.dtype.itemsize == 2 else a for a in arrays]

    def forward_kernel(self, x):
        xp = backend.get_array_module(x)
        (wide,) = self._wide(x)
        norm = xp.asarray(xp.sqrt((wide * wide).sum(axis=self.axis, keepdims=True)))
        return xp.asarray(wide / (norm + norm.dtype.type(self.eps)), x.dtype), norm

    def backward_kernel(self, norm, gy, x):
        xp = backend.get_array_module(x)
        g, wide = self._wide(gy, x)
        divisor = norm + norm.dtype.type(self.eps)
        along = (g * wide).sum(axis=self.axis, keepdims=True) / (
            xp.where(norm == 0, norm.dtype.type(1), norm) * divisor * divisor
        )
        return (xp.asarray(g / divisor - wide * along, gy.dtype),)

    def formula(self, x):
        squares = sum(x * x, self.axis, keepdims=True)
        xp = backend.get_array_module(squares.array)
        zero = xp.asarray(
            squares.array == 0
        )  # there the square root has no derivative: the length counts as a constant
        norm = where(zero, xp.zeros_like(squares.array), sqrt(where(zero, xp.ones_like(squares.array), squares)))
        return x / (norm + self.eps)


def normalize(x, eps=1e-5, axis=1):
    """x / (length of x + eps).

    Args:
        x: float array.
        eps: keeps the divisor from being zero.
        axis: int or tuple of ints: the axes that the vectors lie along.

    Returns:
        Variable of x's shape.
    """
    return NormalizeL2(eps, axis).apply((x,))[0]
