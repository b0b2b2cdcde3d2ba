"""Batch normalization that makes channels uncorrelated.

Lei Huang, Dawei Yang, Bo Lang, Jia Deng: Decorrelated Batch Normalization, 2018.
"""

from chainlite import backend
from chainlite._fused import Fused
from chainlite.backends.cpu.product import product
from chainlite.utils import type_check
from chainlite.utils.argument import parse_kwargs


def _to_groups(x, groups):
    """(n, c, *s) -> (groups, c / groups, n * s): each group's channels as rows; at least 32 bits."""
    x = x.astype('f') if x.dtype.itemsize == 2 else x
    n, c = x.shape[:2]
    return x.reshape(n, groups, c // groups, -1).transpose(1, 2, 0, 3).reshape(groups, c // groups, -1)


def _from_groups(y, like):
    n, c = like.shape[:2]
    groups = len(y)
    y = y.reshape(groups, c // groups, n, -1).transpose(2, 0, 1, 3)
    return y.reshape(like.shape).astype(like.dtype, copy=False)


class DecorrelatedBatchNormalization(Fused):
    """y = P (x - mean), where P is the inverse square root of the covariance of the channels of a group.

    Attributes:
        groups: number of groups of channels.
        eps: added to the variances.
        running_mean, running_projection: arrays (groups, c / groups) and (groups, c / groups, c / groups), updated in
            place, or None.
        decay: how much of them is kept.
    """

    def __init__(self, groups=16, eps=2e-5, mean=None, projection=None, decay=0.9):
        self.groups, self.eps, self.decay = groups, eps, decay
        self.running_mean, self.running_projection = mean, projection

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        (x,) = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim >= 2, x.shape[1] % self.groups == 0)

    def forward_kernel(self, x):
        xp = backend.get_array_module(x)
        g = _to_groups(x, self.groups)
        mean = g.mean(axis=2, keepdims=True)
        d = g - mean
        covariance = product(d, d.swapaxes(1, 2)) / d.dtype.type(g.shape[2])
        covariance += xp.eye(g.shape[1], dtype=g.dtype) * g.dtype.type(self.eps)
        values, vectors = xp.linalg.eigh(covariance)
        projection = product(vectors / xp.sqrt(values)[:, None], vectors.swapaxes(1, 2))
        unbiased = projection * g.dtype.type(g.shape[2] / max(g.shape[2] - 1, 1))
        for running, value in (self.running_mean, mean[:, :, 0]), (self.running_projection, unbiased):
            if running is not None:
                running *= self.decay
                running += ((1 - self.decay) * value).astype(running.dtype, copy=False)
        return _from_groups(product(projection, d), x), (d, projection, values, vectors)

    def backward_kernel(self, saved, gy, x):
        # With f(v) = v ** -1/2 of the eigenvalues v, the derivative of P along a change of the covariance has, in the
        # basis of the eigenvectors, the factors (f(v_i) - f(v_j)) / (v_i - v_j) = -1 / (s_i s_j (s_i + s_j)), s =
        # sqrt(v): equal values do no harm.
        xp = backend.get_array_module(x)
        d, projection, values, vectors = saved
        g = _to_groups(gy, self.groups)
        s = xp.sqrt(values)
        factors = -1 / (s[:, :, None] * s[:, None] * (s[:, :, None] + s[:, None]))
        gprojection = product(g, d.swapaxes(1, 2))
        inner = product(product(vectors.swapaxes(1, 2), gprojection), vectors) * factors
        gcovariance = product(product(vectors, inner), vectors.swapaxes(1, 2))
        gd = product(projection, g)
        gd += product(gcovariance + gcovariance.swapaxes(1, 2), d) / d.dtype.type(d.shape[2])
        return (_from_groups(gd - gd.mean(axis=2, keepdims=True), gy),)


class FixedDecorrelatedBatchNormalization(Fused):
    """y = P (x - mean) for a mean and P that are given."""

    def __init__(self, groups):
        self.groups = groups

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 3)
        x, mean, projection = in_types
        type_check.expect(
            x.dtype.kind == 'f',
            mean.dtype == x.dtype,
            projection.dtype == x.dtype,
            x.ndim >= 2,
            x.shape[1] % self.groups == 0,
        )

    def forward_kernel(self, x, mean, projection):
        d = _to_groups(x, self.groups)
        if mean.shape != d.shape[:2] or projection.shape != (*d.shape[:2], d.shape[1]):
            raise ValueError(
                f'fixed_decorrelated_batch_normalization of {x.shape[1]} channels in {self.groups} groups needs a '
                f'mean of shape {d.shape[:2]} and a projection of shape {(*d.shape[:2], d.shape[1])}, '
                f'not {mean.shape} and {projection.shape}'
            )
        d = d - mean[:, :, None]
        return _from_groups(product(projection, d), x), d

    def backward_kernel(self, d, gy, x, mean, projection):
        g = _to_groups(gy, self.groups)
        gd = product(projection.swapaxes(1, 2), g)
        gprojection = product(g, d.swapaxes(1, 2))
        return (
            _from_groups(gd, gy),
            -gd.sum(axis=2).astype(mean.dtype, copy=False),
            gprojection.astype(projection.dtype, copy=False),
        )


def decorrelated_batch_normalization(x, **kwargs):
    """P (x - mean), by which the channels of each group become uncorrelated and of variance 1 (ZCA whitening).
    Differentiable once.

    Args:
        x: float array (n, c, *s).
        groups: 16, the number of groups that the channels are split into.
        eps: 2e-5, added to the variances.
        running_mean, running_projection: arrays (groups, c / groups) and (groups, c / groups, c / groups) or None:
            updated in place.
        decay: 0.9, how much of them is kept.

    Returns:
        Variable of x's shape.
    """
    groups, eps, mean, projection, decay = parse_kwargs(
        kwargs, ('groups', 16), ('eps', 2e-5), ('running_mean', None), ('running_projection', None), ('decay', 0.9)
    )
    return DecorrelatedBatchNormalization(groups, eps, mean, projection, decay).apply((x,))[0]


def fixed_decorrelated_batch_normalization(x, mean, projection, groups=16):
    """`decorrelated_batch_normalization` with a mean (g, c / g) and a projection (g, c / g, c / g) that are given."""
    return FixedDecorrelatedBatchNormalization(groups).apply((x, mean, projection))[0]
