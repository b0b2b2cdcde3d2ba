"""Tensor products summed over axes."""

import math

from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.transpose import transpose
from chainlite.functions.math.matmul import matmul
from chainlite.utils.type_check import compile_check
from chainlite.variable import as_variable

_check = compile_check('a: f, b: f')


def tensordot(a, b, axes=2):
    """Sums products of elements over some axes of two arrays.

    Args:
        a, b: float arrays.
        axes: int n: the last n axes of `a` and the first n of `b`; or a pair of ints or sequences of ints: the axes of
            `a`, and those of `b` that go with them.

    Returns:
        Variable with the other axes of `a`, then those of `b`.
    """
    a, b = as_variable(a), as_variable(b)
    _check('TensorDot', (a.array, b.array))
    axes_a, axes_b = _pairs(axes, a.ndim, b.ndim)
    axes_a, axes_b = [i % a.ndim for i in axes_a], [i % b.ndim for i in axes_b]
    if [a.shape[i] for i in axes_a] != [b.shape[i] for i in axes_b]:
        raise ValueError('shape mismatch')
    free_a, free_b = ([i for i in range(x.ndim) if i not in used] for x, used in ((a, axes_a), (b, axes_b)))
    shape = tuple([a.shape[i] for i in free_a] + [b.shape[i] for i in free_b])
    k = math.prod([a.shape[i] for i in axes_a])
    rows = reshape(transpose(a, (*free_a, *axes_a)), (math.prod([a.shape[i] for i in free_a]), k))
    columns = reshape(transpose(b, (*axes_b, *free_b)), (k, math.prod([b.shape[i] for i in free_b])))
    return reshape(matmul(rows, columns), shape)


def _pairs(axes, a_ndim, b_ndim):
    """The axes of a, and those of b."""
    if isinstance(axes, int):
        if axes > a_ndim or axes > b_ndim:
            raise ValueError(f'dimension of input tensors must be greater equal to dot-axes count ({axes})')
        return list(range(a_ndim - axes, a_ndim)), list(range(axes))
    if not isinstance(axes, (tuple, list, str)):
        raise TypeError('axes must be a pair of sequence of integers or an integer')
    if len(axes) != 2:
        raise ValueError('axes must be a pair of sequence of integers when it is a list or tuple.')
    a_axes, b_axes = ([i] if isinstance(i, int) else list(i) for i in axes)
    if len(a_axes) != len(b_axes):
        raise ValueError('axes count mismatch')
    if len(a_axes) > a_ndim or len(b_axes) > b_ndim:
        raise ValueError(f'dimension of input tensors must be greater equal to dot-axes count ({len(a_axes)})')
    for i, ndim in [*((i, a_ndim) for i in a_axes), *((i, b_ndim) for i in b_axes)]:
        if not -ndim <= i < ndim:
            raise IndexError(f'tensordot: axis {i} is out of bounds for an array of {ndim} axes')
    return a_axes, b_axes
