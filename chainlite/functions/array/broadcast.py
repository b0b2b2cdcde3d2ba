"""Broadcasting."""

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.functions.math.sum import _sum_to
from chainlite.utils import type_check
from chainlite.variable import as_variable


def _broadcast_to(x, in_shape, shape):
    return backend.get_array_module(x).broadcast_to(x, shape)


def _sum_back(y, in_shape, shape):
    return _sum_to(y, shape, in_shape)


BroadcastTo, BroadcastToGrad = adjoint_pair('BroadcastTo', _broadcast_to, 'BroadcastToGrad', _sum_back, __name__)


def broadcast_to(x, shape):
    """Broadcasts `x` to `shape`."""
    x = as_variable(x)
    if x.shape == shape:
        return x
    try:
        return BroadcastTo(x.shape, shape).apply((x,))[0]
    except ValueError:
        with type_check.get_function_check_context(BroadcastTo(x.shape, shape)):
            x_type = type_check.make_variable(x.array, 'x')
            type_check.expect(x_type.ndim <= type_check.make_variable(len(shape), 'len(shape)'))
            for i, n in enumerate(shape[len(shape) - x.ndim :]):
                if x.shape[i] != 1:
                    name = f'shape[{len(shape) - x.ndim + i}]'
                    type_check.expect(x_type.shape[i] == type_check.make_variable(n, name))
        raise


def broadcast(*args):
    """Broadcasts arrays together; a tuple of Variables unless there is one."""
    xs = [as_variable(x) for x in args]
    if not xs:
        raise type_check.InvalidType('in_types.size > 0', '0 <= 0', function='Broadcast')
    try:
        shape = np.broadcast_shapes(*[x.shape for x in xs])
    except ValueError:
        lines = [f'in_types[{i}].shape = {x.shape}' for i, x in enumerate(xs)]
        text = '\n'.join(['cannot broadcast inputs of the following shapes:', *lines])
        raise type_check.InvalidType('', '', text) from None
    ys = tuple([broadcast_to(x, shape) for x in xs])
    return ys[0] if len(ys) == 1 else ys
