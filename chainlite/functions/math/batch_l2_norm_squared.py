"""Squared norms of the samples of a batch."""

from chainlite._fused import Fused
from chainlite.functions.math.sum import sum, sum_array


class BatchL2NormSquared(Fused):
    check = 'x: f (n _ *_)'

    def formula(self, x):
        return sum(x * x, tuple(range(1, x.ndim)))

    def forward_kernel(self, x):
        return sum_array(x * x, tuple(range(1, x.ndim))), None

    def backward_kernel(self, saved, gy, x):
        return (2 * x * gy.reshape(-1, *[1] * (x.ndim - 1)),)


def batch_l2_norm_squared(x):
    """Squared L2 norm of each sample.

    Args:
        x: float array (n, ...) of at least two axes.

    Returns:
        Variable of shape (n,).
    """
    return BatchL2NormSquared().apply((x,))[0]
