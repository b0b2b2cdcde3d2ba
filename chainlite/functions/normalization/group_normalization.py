"""Normalization of groups of channels.

Yuxin Wu and Kaiming He: Group Normalization, 2018.
"""

from chainlite._fused import Fused
from chainlite.backends.cpu.group_normalization import group_normalize, group_normalize_grad
from chainlite.functions.array.cast import cast
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.basic_math import pow
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.utils._check import kind_of
from chainlite.variable import as_variable


class GroupNormalization(Fused):
    """Normalizes each group of channels of each sample.

    Attributes:
        groups: number of groups.
        eps: added to the variance.
        mean, inv_std: arrays (n * groups); inv_std is 1 / sqrt(var + eps).
    """

    input_names = 'x', 'gamma', 'beta'
    mean = inv_std = None

    def __init__(self, groups, eps=1e-5):
        if not isinstance(groups, int):
            raise TypeError("Argument: 'groups' type must be (int).")
        if groups < 1:
            raise ValueError(f"'groups' must be positive, not {groups}.")
        self.groups, self.eps = groups, eps

    def _check_data_type_forward(self, in_data):
        kinds, shapes = [kind_of(a.dtype) for a in in_data], [a.shape for a in in_data]
        if kinds != ['f'] * 3 or len(shapes[0]) < 2 or shapes[1] != shapes[2] or shapes[1] != shapes[0][1:2]:
            super()._check_data_type_forward(in_data)  # says in detail what is wrong
        if in_data[0].shape[1] % self.groups:
            raise ValueError(
                f"The number of channels {in_data[0].shape[1]} is not divisible by 'groups' argument {self.groups}."
            )

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 3)
        x, gamma, beta = in_types
        type_check.expect(
            x.dtype.kind == 'f',
            x.ndim >= 2,
            gamma.ndim == 1,
            beta.ndim == 1,
            gamma.dtype.kind == 'f',
            gamma.dtype == beta.dtype,
            x.shape[1] == gamma.shape[0],
            gamma.shape == beta.shape,
        )

    def forward_kernel(self, x, gamma, beta):
        y, self.mean, self.inv_std = group_normalize(x, gamma, beta, self.groups, self.eps)
        return y, None

    def backward_kernel(self, saved, gy, x, gamma, beta):
        gx, ggamma, gbeta = group_normalize_grad(gy, x, gamma, self.mean, self.inv_std, self.groups)
        return gx, ggamma.astype(gamma.dtype, copy=False), gbeta.astype(beta.dtype, copy=False)

    def formula(self, x, gamma, beta):
        dtype, shape = self.mean.dtype, x.shape
        g = reshape(cast(x, dtype), (len(self.mean), -1))
        scale = 1 / g.shape[1]
        d = g - sum(g, 1, keepdims=True) * scale
        y = reshape(d * pow(sum(d * d, 1, keepdims=True) * scale + self.eps, -0.5), shape)
        channels = (-1, *[1] * (x.ndim - 2))
        return cast(y * reshape(cast(gamma, dtype), channels) + reshape(cast(beta, dtype), channels), x.dtype)


def group_normalization(x, groups, gamma, beta, eps=1e-5):
    """gamma (x - mean) / sqrt(var + eps) + beta, with the mean and variance of each group of channels of each sample.

    Args:
        x: float array (n, c, *s); its dtype is the result's.
        groups: number of groups, a divisor of c.
        gamma, beta: float arrays (c): scale and offset of the channels.
        eps: added to the variance.

    Returns:
        Variable of x's shape.
    """
    return GroupNormalization(groups, eps).apply((as_variable(x), gamma, beta))[0]
