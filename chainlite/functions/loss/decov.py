"""DeCov penalty."""

from chainlite import backend
from chainlite.functions.math.average import average
from chainlite.functions.math.matmul import matmul
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.variable import as_variable

_check = type_check.compile_check('h: f (_ _)')


def decov(h, reduce='half_squared_sum'):
    """Covariances between different features over the batch.

    Args:
        h: float array (n, k).
        reduce: 'half_squared_sum' for a scalar, 'no' for the matrix (k, k) with a zero diagonal.

    See: https://arxiv.org/abs/1511.06068
    """
    if reduce not in ('half_squared_sum', 'no'):
        raise ValueError(f"only 'half_squared_sum' and 'no' are valid for 'reduce', but '{reduce}' is given")
    h = as_variable(h)
    _check('DeCov', (h.array,))
    h = h - average(h, 0, keepdims=True)
    c = matmul(h, h, transa=True) * (1.0 / len(h))
    c = c * (1 - backend.get_array_module(h.array).eye(h.shape[1], dtype=h.dtype))
    return c if reduce == 'no' else 0.5 * sum(c**2)
