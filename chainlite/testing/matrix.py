"""Matrices with known properties."""

import numpy


def generate_matrix(shape, dtype=float, **kwargs):
    """Makes random matrices of given singular values.

    Args:
        shape (tuple of int): ``(..., m, n)``.
        dtype: Floating or complex dtype.
        singular_values (array of float): Of a shape that broadcasts to ``(..., min(m, n))``. Required.

    Returns:
        numpy.ndarray: ``(..., m, n)``.
    """
    unexpected = ', '.join(repr(name) for name in kwargs if name != 'singular_values')
    if unexpected:
        raise TypeError(f'generate_matrix() got unexpected keyword argument(s) {unexpected}')
    if 'singular_values' not in kwargs:
        raise TypeError('singular_values is not given')
    singular_values = numpy.asarray(kwargs['singular_values'])
    if len(shape) <= 1:
        raise ValueError(f'shape {shape} is invalid for matrices: too few axes')
    dtype = numpy.dtype(dtype)
    if dtype.kind not in 'fc':
        raise TypeError(f'dtype {dtype} is not supported')
    if not numpy.isrealobj(singular_values):
        raise TypeError('singular_values is not real')
    if (singular_values < 0).any():
        raise ValueError('negative singular value is given')
    singular_values = _broadcast_to(singular_values, (*shape[:-2], min(shape[-2:])))
    if 0 in shape:
        return numpy.empty(shape, dtype)
    a = numpy.random.randn(*shape)
    if dtype.kind == 'c':
        a = a + 1j * numpy.random.randn(*shape)
    u, _, vh = numpy.linalg.svd(a, full_matrices=False)
    return numpy.matmul(u * singular_values[..., None, :], vh).astype(dtype)


def _broadcast_to(array, shape):
    return numpy.broadcast_to(array, shape)
