"""Normalization of each sample.

Jimmy Lei Ba, Jamie Ryan Kiros, Geoffrey E. Hinton: Layer Normalization, 2016.
"""

from chainlite.functions.normalization.group_normalization import GroupNormalization
from chainlite.utils import type_check


class LayerNormalization(GroupNormalization):
    """Normalizes each sample: one group of all channels."""

    def __init__(self, eps=1e-5):
        super().__init__(1, eps)

    def _check_data_type_forward(self, in_data):
        x = in_data[0]
        if x.ndim != 2 or any([a.dtype != x.dtype for a in in_data]):
            type_check_all = super(GroupNormalization, self)._check_data_type_forward
            type_check_all(in_data)  # says in detail what is wrong
        super()._check_data_type_forward(in_data)

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 3)
        x, gamma, beta = in_types
        type_check.expect(
            x.dtype.kind == 'f',
            x.ndim == 2,
            gamma.ndim == 1,
            beta.ndim == 1,
            gamma.dtype == x.dtype,
            beta.dtype == x.dtype,
            gamma.shape == beta.shape,
            x.shape[1] == gamma.shape[0],
        )


def layer_normalization(x, gamma, beta, eps=1e-5):
    """gamma (x - mean) / sqrt(var + eps) + beta, with the mean and variance of each sample.

    Args:
        x: float array (n, c).
        gamma, beta: float arrays (c), of x's dtype.
        eps: added to the variance.

    Returns:
        Variable of x's shape.
    """
    return LayerNormalization(eps).apply((x, gamma, beta))[0]
