"""Triplet loss."""

from chainlite.functions.activation.relu import relu
from chainlite.functions.math.average import average
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.variable import as_variable

_check = type_check.compile_check('anchor: f (n k), positive: =anchor (n k), negative: =anchor (n k)')


def triplet(anchor, positive, negative, margin=0.2, reduce='mean'):
    """max(0, |anchor - positive|^2 - |anchor - negative|^2 + margin).

    Args:
        anchor, positive, negative: float arrays (n, k).
        margin: positive float.
        reduce: 'mean' for a scalar, 'no' for an array (n,).

    See: https://arxiv.org/abs/1503.03832
    """
    if margin <= 0:
        raise ValueError('margin should be positive value.')
    if reduce not in ('mean', 'no'):
        raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")
    anchor, positive, negative = as_variable(anchor), as_variable(positive), as_variable(negative)
    _check('Triplet', (anchor.array, positive.array, negative.array))
    loss = relu(sum((anchor - positive) ** 2 - (anchor - negative) ** 2, 1) + margin)
    return loss if reduce == 'no' else average(loss)
