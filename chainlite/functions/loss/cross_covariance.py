"""Cross-covariance penalty."""

from chainlite.functions.math.average import average
from chainlite.functions.math.matmul import matmul
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.variable import as_variable

_check = type_check.compile_check('y: f (n _), z: =y (n _)')


def cross_covariance(y, z, reduce='half_squared_sum'):
    """How far the features of `y` and of `z` vary together over the batch.

    Args:
        y, z: float arrays (n, k) and (n, l).
        reduce: 'half_squared_sum' for a scalar, 'no' for the cross-covariance matrix (k, l).

    See: https://arxiv.org/abs/1412.6583v3
    """
    if reduce not in ('half_squared_sum', 'no'):
        raise ValueError(f"Only 'half_squared_sum' and 'no' are valid for 'reduce', but '{reduce}' is given")
    y, z = as_variable(y), as_variable(z)
    _check('CrossCovariance', (y.array, z.array))
    y, z = [v - average(v, 0, keepdims=True) for v in (y, z)]
    c = matmul(y, z, transa=True) * (1.0 / len(y))
    return c if reduce == 'no' else 0.5 * sum(c**2)
