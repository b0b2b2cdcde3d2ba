"""Broadcasting."""

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.functions.math.sum import _sum_to
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
    return BroadcastTo(x.shape, shape).apply((x,))[0]


def broadcast(*args):
    """Broadcasts arrays together; a tuple of Variables unless there is one."""
    shape = np.broadcast_shapes(*[as_variable(x).shape for x in args])
    ys = tuple([broadcast_to(x, shape) for x in args])
    return ys[0] if len(ys) == 1 else ys
