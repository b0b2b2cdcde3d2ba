"""Change of shape."""

from chainlite._adjoint import adjoint_pair
from chainlite.utils import type_check
from chainlite.variable import as_variable, operations


def _reshape(x, in_shape, shape):
    return x.reshape(shape)


def _reshape_back(y, in_shape, shape):
    return y.reshape(in_shape)


Reshape, ReshapeGrad = adjoint_pair('Reshape', _reshape, 'ReshapeGrad', _reshape_back, __name__)


def reshape(x, shape):
    """The same elements in another shape.

    Args:
        x: array of any shape and dtype.
        shape: tuple of ints; one of them may be -1.
    """
    x = as_variable(x)
    if x.shape == shape:
        return x
    try:
        return Reshape(x.shape, shape).apply((x,))[0]
    except ValueError:
        known = tuple(n for n in shape if n != -1)
        size = type_check.prod(type_check.make_variable(known, str(tuple(known))))
        with type_check.get_function_check_context(Reshape(x.shape, shape)):
            x_type = type_check.make_variable(x.array, 'x')
            if len(known) == len(shape):
                type_check.expect(type_check.prod(x_type.shape) == size)
            elif all(known):
                type_check.expect(type_check.prod(x_type.shape) % size == 0)
        raise


operations.reshape = reshape
