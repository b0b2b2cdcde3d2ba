"""Permutation along an axis."""

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.backends.cpu.indexing import add_at
from chainlite.configuration import config
from chainlite.functions.array._axes import check_axis
from chainlite.variable import as_array, as_variable


def _at(axis, indices):
    return *[slice(None)] * axis, indices


def _permutate(x, in_shape, indices, axis):
    return x.take(indices, axis)


def _permutate_back(y, in_shape, indices, axis):
    return add_at(y, _at(axis % len(in_shape), indices), in_shape)


def _check_values(indices):
    values = indices.tolist()
    for value in values:
        if not 0 <= value < len(values):
            raise ValueError(f'Out of bounds index: {value}')
    for value in set(values):
        if values.count(value) > 1:
            raise ValueError(f'indices contains duplicate value: {value}')


Permutate, PermutateGrad = adjoint_pair('Permutate', _permutate, 'PermutateGrad', _permutate_back, __name__)
Permutate.inv = False  # for those who read Chainer's attributes: inverted are the indices


def permutate(x, indices, axis=0, inv=False):
    """Reorders the elements along an axis: `y[i] = x[indices[i]]`.

    Args:
        x: array.
        indices: 1-D int array; in debug mode ValueError is raised if an index is out of bounds or there twice.
        axis: int.
        inv: whether to apply the inverse permutation instead: `y[indices[i]] = x[i]`.
    """
    x, indices = as_variable(x), as_array(indices)
    if indices.ndim != 1 or indices.dtype.kind not in 'iu':
        raise ValueError('indices should be a one-dimensional int array')
    check_axis('Permutate', axis, x.ndim)
    if config.debug:
        _check_values(indices)
    if inv:
        xp, order = backend.get_array_module(indices), indices
        indices = xp.empty_like(order)
        indices[order] = xp.arange(len(order), dtype=order.dtype)
    return Permutate(x.shape, indices, axis).apply((x,))[0]
