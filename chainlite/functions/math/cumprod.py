"""Cumulative products."""

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.array.concat import concat
from chainlite.functions.array.flip import flip
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.cumsum import check_axis_or_none, in_float32
from chainlite.variable import Variable, as_variable


def shifted(x, axis, first):
    """`x` moved one place on along an axis; `first`, a number, comes in."""
    xp = backend.get_array_module(x)
    shape = [1 if a == axis else n for a, n in enumerate(x.shape)]
    before = Variable(xp.full(shape, first, x.dtype), requires_grad=False)
    return concat((before, x[(slice(None),) * axis + (slice(-1),)]), axis)


class Cumprodsum(FunctionNode):
    """The recurrence y[i] = b[i] + a[i] * y[i - 1] along an axis, with y[-1] = 0. Its gradient is one from the end."""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, inputs):
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        a, b = inputs
        y = b.copy()
        along = np.moveaxis if isinstance(y, np.ndarray) else backend.get_array_module(y).moveaxis
        steps, factors = along(y, self.axis, 0), along(a, self.axis, 0)
        for i in range(1, len(steps)):
            steps[i] += factors[i] * steps[i - 1]
        return (y,)

    def backward(self, target_input_indexes, grad_outputs):
        (a,) = self.get_retained_inputs()
        (y,) = self.get_retained_outputs()
        axis = self.axis
        gb = flip(Cumprodsum(axis).apply((shifted(flip(a, axis), axis, 0), flip(grad_outputs[0], axis)))[0], axis)
        return gb * shifted(y, axis, 0), gb


class Cumprod(FunctionNode):
    check = 'x: f'

    def __init__(self, axis):
        self.axis = axis

    def forward(self, inputs):
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        (x,) = inputs
        return (in_float32(lambda x: backend.get_array_module(x).cumprod(x, self.axis, dtype=x.dtype), x),)

    def backward(self, target_input_indexes, grad_outputs):
        # gx[i] = x[0] ... x[i - 1] * (gy[i] + x[i + 1] * (gy[i + 1] + x[i + 2] * ...)): no division, x may be zero.
        (x,) = self.get_retained_inputs()
        (y,) = self.get_retained_outputs()
        if x.size == 0:
            return grad_outputs
        axis = self.axis % x.ndim
        (rest,) = Cumprodsum(axis).apply((shifted(flip(x, axis), axis, 0), flip(grad_outputs[0], axis)))
        return (shifted(y, axis, 1) * flip(rest, axis),)


def cumprod(x, axis=None):
    """Products of the elements up to each, along an axis.

    Args:
        x: float array.
        axis: int; None for the flattened array.
    """
    x = as_variable(x)
    check_axis_or_none('Cumprod', axis, x.ndim)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    return Cumprod(axis).apply((x,))[0]
