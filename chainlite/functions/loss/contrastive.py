"""Contrastive loss."""

from chainlite import backend
from chainlite.functions.activation.relu import relu
from chainlite.functions.array.where import where
from chainlite.functions.math.average import average
from chainlite.functions.math.sqrt import sqrt
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.variable import as_variable

_check = type_check.compile_check('x0: f (n k), x1: =x0 (n k), y: i (n)')


def contrastive(x0, x1, y, margin=1, reduce='mean'):
    """Half the squared distance of similar pairs; half the square of what dissimilar ones lack to the margin.

    Args:
        x0, x1: float arrays (n, k).
        y: int array (n,), 1 for a similar pair and 0 for a dissimilar one.
        margin: positive float.
        reduce: 'mean' for a scalar, 'no' for an array (n,).

    See: http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf
    """
    if margin <= 0:
        raise ValueError('margin should be positive value.')
    if reduce not in ('mean', 'no'):
        raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")
    x0, x1, y = as_variable(x0), as_variable(x1), as_variable(y)
    _check('Contrastive', (x0.array, x1.array, y.array))
    squares = sum((x0 - x1) ** 2, 1)
    # the root has no derivative at zero: pairs that coincide are given a distance of one and no gradient
    apart = squares.array > 0
    ones = backend.get_array_module(squares.array).ones_like(squares.array)
    distance = where(apart, sqrt(where(apart, squares, ones)), 0 * ones)
    loss = 0.5 * where(y.array == 1, squares, relu(margin - distance) ** 2)
    return loss if reduce == 'no' else average(loss)
