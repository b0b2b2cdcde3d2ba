"""Normalization by neighbouring channels.

Alex Krizhevsky, Ilya Sutskever, Geoffrey E. Hinton: ImageNet Classification with Deep Convolutional Neural Networks,
2012.
"""

from chainlite import backend
from chainlite._adjoint import Adjoint
from chainlite._fused import Fused
from chainlite.functions.math.basic_math import pow
from chainlite.utils import type_check


def _neighbours(x, in_shape, half):
    """For each channel, the sum of those at most `half` away. This map is its own transpose."""
    y = x.copy()
    for i in range(1, half + 1):
        y[:, i:] += x[:, :-i]
        y[:, :-i] += x[:, i:]
    return y


class NeighbouringChannels(Adjoint):
    """Sums each channel with its neighbours."""

    run = staticmethod(_neighbours)


NeighbouringChannels.partner = NeighbouringChannels


def _power(scale, beta):
    """scale ** -beta; by square roots, which are many times as fast, for the beta that everybody uses."""
    xp = backend.get_array_module(scale)
    if beta != 0.75:
        return scale ** scale.dtype.type(-beta)
    root = xp.sqrt(scale)
    return 1 / (root * xp.sqrt(root))


class LocalResponseNormalization(Fused):
    """x / (k + alpha * (the sum of the squares of the n channels around)) ** beta."""

    def __init__(self, n=5, k=2, alpha=1e-4, beta=0.75):
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        (x,) = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim >= 2)

    def forward_kernel(self, x):
        wide = x.astype('f') if x.dtype.itemsize == 2 else x
        scale = _neighbours(wide * wide, None, self.n // 2)
        scale *= scale.dtype.type(self.alpha)
        scale += scale.dtype.type(self.k)
        power = _power(scale, self.beta)
        return (wide * power).astype(x.dtype, copy=False), (scale, power)

    def backward_kernel(self, saved, gy, x):
        scale, power = saved
        wide = x.astype(scale.dtype, copy=False)
        g = gy * power
        around = _neighbours(g * wide / scale, None, self.n // 2)
        around *= wide
        around *= scale.dtype.type(2 * self.alpha * self.beta)
        return ((g - around).astype(x.dtype, copy=False),)

    def formula(self, x):
        (squares,) = NeighbouringChannels(x.shape, self.n // 2).apply((x * x,))
        return x * pow(squares * self.alpha + self.k, -self.beta)


def local_response_normalization(x, n=5, k=2, alpha=1e-4, beta=0.75):
    """x_i / (k + alpha * sum of x_j ** 2) ** beta, where j goes over the n channels around i.

    Args:
        x: float array (n, c, *s).
        n: number of channels, odd.
        k, alpha, beta: floats.

    Returns:
        Variable of x's shape.
    """
    return LocalResponseNormalization(n, k, alpha, beta).apply((x,))[0]
