"""Products over axes."""

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.array.flip import flip
from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.transpose import transpose
from chainlite.functions.math.cumprod import cumprod, shifted
from chainlite.functions.math.cumsum import in_float32
from chainlite.functions.math.sum import check_axes
from chainlite.variable import as_variable


class Prod(FunctionNode):
    check = 'x: f'

    def __init__(self, axis=None, keepdims=False):
        self.axis, self.keepdims = axis, keepdims

    def forward(self, inputs):
        self.retain_inputs((0,))
        (x,) = inputs
        y = in_float32(lambda x: x.prod(axis=self.axis, keepdims=self.keepdims, dtype=x.dtype), x)
        return (backend.get_array_module(x).asarray(y),)

    def backward(self, target_input_indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        (gy,) = grad_outputs
        if x.size == 0:
            return (broadcast_to(reshape(gy, (1,) * x.ndim), x.shape) if gy.size == 1 else x * 0,)
        axes = range(x.ndim) if self.axis is None else self.axis if isinstance(self.axis, tuple) else (self.axis,)
        axes = [a % x.ndim for a in axes]
        order = [a for a in range(x.ndim) if a not in axes] + axes
        moved = transpose(x, order)
        kept = moved.shape[: x.ndim - len(axes)]
        rows = reshape(moved, (*kept, -1))
        # The product of the others: of those before times of those behind. No division, x may be zero.
        last = len(kept)
        before = shifted(cumprod(rows, last), last, 1)
        behind = flip(shifted(cumprod(flip(rows, last), last), last, 1), last)
        gx = before * behind * broadcast_to(reshape(gy, (*kept, 1)), rows.shape)
        return (transpose(reshape(gx, moved.shape), tuple(np.argsort(order))),)


def prod(x, axis=None, keepdims=False):
    """Product of elements.

    Args:
        x: float array.
        axis: int or tuple of ints; all axes if None.
        keepdims: whether the axes multiplied over stay, with length 1.
    """
    x = as_variable(x)
    check_axes('Prod', axis, x.ndim)
    return Prod(axis, keepdims).apply((x,))[0]
