"""Normalization by neighbouring channels.

Alex Krizhevsky, Ilya Sutskever, Geoffrey E. Hinton: ImageNet Classification with Deep Convolutional Neural Networks,
2012.
"""

from chainlite._adjoint import Adjoint
from chainlite._fused import Fused
from chainlite.backends.cpu.local_response_normalization import normalize, normalize_grad, sum_neighbours
from chainlite.functions.math.basic_math import pow
from chainlite.utils import type_check


class NeighbouringChannels(Adjoint):
    """Sums each channel with its neighbours."""

    run = staticmethod(sum_neighbours)


NeighbouringChannels.partner = NeighbouringChannels


class LocalResponseNormalization(Fused):
    """x / (k + alpha * (the sum of the squares of the n channels around)) ** beta."""

    any_layout = True

    def __init__(self, n=5, k=2, alpha=1e-4, beta=0.75):
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        (x,) = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim >= 2)

    def forward_kernel(self, x):
        return normalize(x, self.n, self.k, self.alpha, self.beta)

    def backward_kernel(self, saved, gy, x):
        return (normalize_grad(gy, x, saved, self.n, self.k, self.alpha, self.beta),)

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
