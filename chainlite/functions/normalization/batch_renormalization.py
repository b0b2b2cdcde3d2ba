"""Batch renormalization.

Sergey Ioffe: Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models, 2017.
"""

import warnings

from chainlite import backend
from chainlite.backends.cpu.batch_normalization import (
    fixed_statistics,
    moments,
    move_statistics,
    normalize,
    normalize_grad,
)
from chainlite.functions.normalization.batch_normalization import BatchNormalization, fixed_batch_normalization
from chainlite.utils import type_check


class BatchRenormalizationFunction(BatchNormalization):
    """Batch normalization corrected towards the running statistics: y = gamma (x_hat r + d) + beta.

    Attributes:
        rmax, dmax: bounds of the corrections.
        r, d: the corrections, which have no gradient.
    """

    def __init__(self, eps=2e-5, mean=None, var=None, decay=0.9, rmax=1, dmax=0, update_statistics=True):
        super().__init__(eps, mean, var, decay)
        self.rmax, self.dmax, self.update_statistics = rmax, dmax, update_statistics

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 3)
        x, gamma, beta = in_types
        n = type_check.eval(gamma.ndim)
        type_check.expect(
            x.dtype.kind == 'f',
            gamma.dtype.kind == 'f',
            gamma.dtype == beta.dtype,
            gamma.shape == beta.shape,
            x.shape[1 : 1 + n] == gamma.shape,
        )

    def forward_kernel(self, x, gamma, beta):
        xp = backend.get_array_module(x)
        self._set_axes(x, gamma)
        mean, var = moments(x, self.axis)
        self.numbers = fixed_statistics(gamma, beta, mean, var, self.eps, mean.dtype)
        std = 1 / self.inv_std
        running_std = xp.sqrt(self.running_var + self.running_var.dtype.type(self.eps))
        self.r = xp.clip(std / running_std, 1 / self.rmax, self.rmax)
        self.d = xp.clip((mean - self.running_mean) / running_std, -self.dmax, self.dmax)
        y = normalize(x, gamma * self.r, beta + gamma * self.d, mean, self.inv_std, self.axis)
        if self.update_statistics:
            count = x.size // max(gamma.size, 1)
            move_statistics((self.running_mean, self.running_var), mean, var, self.decay, count)
        return y, None

    def backward_kernel(self, saved, gy, x, gamma, beta):
        gx, gscale, gbeta = normalize_grad(gy, x, gamma * self.r, self.mean, self.inv_std, self.axis, False)
        ggamma = gscale * self.r + gbeta * self.d
        return gx, ggamma.astype(gamma.dtype, copy=False), gbeta.astype(gamma.dtype, copy=False)

    def formula(self, x, gamma, beta):
        return super().formula(x, gamma * self.r.astype(gamma.dtype), beta + gamma * self.d.astype(gamma.dtype))


def batch_renormalization(
    x, gamma, beta, rmax, dmax, eps=2e-5, running_mean=None, running_var=None, decay=0.9, update_statistics=False
):
    """Batch normalization whose result is close to that of the running statistics: gamma (x_hat r + d) + beta.

    Args:
        x, gamma, beta, eps, decay: see `batch_normalization`.
        rmax: r is the batch's standard deviation over the running one, between 1 / rmax and rmax.
        dmax: d is the difference of the means over the running standard deviation, between -dmax and dmax.
        running_mean, running_var: arrays of gamma's shape, required.
        update_statistics: whether to update them in place.

    Returns:
        Variable of x's shape and dtype.
    """
    if running_mean is None:
        raise TypeError('running_mean is required')
    if running_var is None:
        raise TypeError('running_var is required')
    return BatchRenormalizationFunction(eps, running_mean, running_var, decay, rmax, dmax, update_statistics).apply(
        (x, gamma, beta)
    )[0]


def fixed_batch_renormalization(x, gamma, beta, mean, var, eps=2e-5):
    """The old name of `fixed_batch_normalization`."""
    warnings.warn(
        'fixed_batch_renormalization is deprecated. Use fixed_batch_normalization instead.',
        DeprecationWarning,
        stacklevel=2,
    )
    return fixed_batch_normalization(x, gamma, beta, mean, var, eps)
