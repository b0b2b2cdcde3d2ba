"""Concatenated rectifier."""

from chainlite import backend
from chainlite._fused import Fused
from chainlite.functions.activation.relu import relu
from chainlite.functions.array._axes import check_axis
from chainlite.functions.array.concat import concat
from chainlite.variable import as_variable


class CReLU(Fused):
    check = 'x: f'

    def __init__(self, axis=1):
        if not isinstance(axis, int):
            raise TypeError('axis must be an integer value')
        self.axis = axis

    def formula(self, x):
        return relu(concat((x, -x), self.axis))

    def forward_kernel(self, x):
        xp = backend.get_array_module(x)
        y = xp.concatenate((x, -x), self.axis)
        return xp.maximum(y, 0, out=y), y

    def backward_kernel(self, y, gy, x):
        positive, negative = backend.get_array_module(x).split(gy * (y > 0), 2, self.axis)
        return (positive - negative,)


def crelu(x, axis=1):
    """The positive parts of x and of -x, joined along an axis.

    Args:
        x: float array.
        axis: int; its length doubles.

    See: https://arxiv.org/abs/1603.05201
    """
    x = as_variable(x)
    function = CReLU(axis)
    check_axis('CReLU', axis, x.ndim)
    return function.apply((x,))[0]
