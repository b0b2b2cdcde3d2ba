"""Maxout."""

from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.minmax import max
from chainlite.utils import type_check
from chainlite.variable import as_variable


def maxout(x, pool_size, axis=1):
    """The largest of each `pool_size` neighbours along an axis.

    Args:
        x: float array.
        pool_size: int that divides the length of the axis.
        axis: int; its length is divided by `pool_size`.

    See: http://jmlr.org/proceedings/papers/v28/goodfellow13.pdf
    """
    x = as_variable(x)
    if pool_size <= 0:
        raise ValueError('pool_size must be a positive integer.')
    n = x.shape[axis]
    if n % pool_size:
        expect = 'x.shape[axis] % pool_size == 0'
        raise type_check.InvalidType(expect, f'{n} % {pool_size} != 0', 'axis dimension must be divided by pool_size')
    axis %= x.ndim
    x = reshape(x, (*x.shape[:axis], n // pool_size, pool_size, *x.shape[axis + 1 :]))
    return max(x, axis + 1)
