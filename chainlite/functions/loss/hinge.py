"""Hinge loss."""

from chainlite import backend
from chainlite.functions.activation.relu import relu
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.variable import Variable, as_variable

_check = type_check.compile_check('x: f (n k), t: i (n)')


def hinge(x, t, norm='L1', reduce='mean'):
    """One-versus-all hinge loss: max(0, 1 - s x) with s = 1 for the label and -1 for the other classes, summed over
    classes.

    Args:
        x: float array (n, k).
        t: int array (n,) of labels.
        norm: 'L1', or 'L2' for the square of each term.
        reduce: 'mean' over the batch (a scalar), 'no' for an array (n, k) before the sum.
    """
    if norm not in ('L1', 'L2'):
        raise NotImplementedError("norm should be either 'L1' or 'L2'")
    if reduce not in ('mean', 'no'):
        raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")
    x, t = as_variable(x), as_variable(t)
    _check('Hinge', (x.array, t.array))
    xp = backend.get_array_module(x.array)
    sign = xp.full(x.shape, -1, x.dtype)
    sign[xp.arange(len(t)), t.array] = 1
    terms = relu(1 - x * Variable(sign, requires_grad=False))
    if norm == 'L2':
        terms = terms * terms
    return terms if reduce == 'no' else sum(terms) * (1.0 / max(len(x), 1))
