"""Randomized leaky rectifier."""

import numpy as np

from chainlite import backend
from chainlite.backends.cpu.noise import uniform
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.functions.math.basic_math import Mul
from chainlite.utils import argument, type_check
from chainlite.variable import Variable, as_variable


class RReLU(FunctionNode):
    """Multiplies negative elements by random slopes, or by the middle of their interval in test mode."""

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, r=None):
        if not 0.0 <= lower < 1.0:
            raise ValueError('lower must be in the range [0, 1)')
        if not 0.0 <= upper < 1.0:
            raise ValueError('upper must be in the range [0, 1)')
        if not lower < upper:
            raise ValueError('lower must be less than upper')
        self.lower, self.upper, self.r = lower, upper, r

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1, in_types[0].dtype.kind == 'f')
        if self.r is not None:
            type_check.expect(in_types[0].dtype == self.r.dtype, in_types[0].shape == self.r.shape)

    def forward(self, inputs):
        (x,) = inputs
        xp = backend.get_array_module(x)
        if not config.train:
            self.r = xp.full(x.shape, (self.lower + self.upper) / 2, x.dtype)
        elif self.r is None:
            slopes = self.lower + (self.upper - self.lower) * uniform(x, x.shape)
            self.r = xp.asarray(slopes).astype(x.dtype)
        self.factor = xp.where(x >= 0, x.dtype.type(1), self.r).astype(x.dtype, copy=False)
        y = x * self.factor
        return (y if isinstance(y, type(x)) else np.asarray(y),)

    def backward(self, target_input_indexes, grad_outputs):
        return Mul().apply((grad_outputs[0], Variable(self.factor, requires_grad=False)))

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return (grad_outputs[0] * self.factor,)


def rrelu(x, l=1.0 / 8, u=1.0 / 3, **kwargs):
    """x where it is positive; elsewhere x times a random slope, or times (l + u) / 2 in test mode.

    Args:
        x: float array of any shape.
        l, u: floats in [0, 1), the bounds of the slopes.
        r: array of slopes to use instead of random ones; it does not count in test mode.
        return_r: whether to return the slopes as well.

    See: https://arxiv.org/abs/1505.00853
    """
    r, return_r = argument.parse_kwargs(kwargs, ('r', None), ('return_r', False), **argument.removed('train'))
    function = RReLU(l, u, r)
    (y,) = function.apply((as_variable(x),))
    return (y, function.r) if return_r else y
