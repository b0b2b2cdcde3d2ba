"""An array as a tuple of slices."""

from chainlite import backend
from chainlite.backends._joining import stack as stack_arrays
from chainlite.function_node import FunctionNode
from chainlite.functions.array._axes import check_axis
from chainlite.functions.array.stack import stack
from chainlite.variable import Variable, as_variable


class Separate(FunctionNode):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, inputs):
        (x,) = inputs
        xp = backend.get_array_module(x)
        ys = xp.moveaxis(x, self.axis, 0)
        self.y_shape, self.dtype, self.xp = ys.shape[1:], x.dtype, xp
        return tuple([ys[i, ...] for i in range(len(ys))])

    def backward(self, target_input_indexes, grad_outputs):
        gys = [Variable(self._zeros(), requires_grad=False) if g is None else g for g in grad_outputs]
        return (stack(gys, self.axis),)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return (stack_arrays([self._zeros() if g is None else g for g in grad_outputs], self.axis),)

    def _zeros(self):
        return self.xp.zeros(self.y_shape, self.dtype)


def separate(x, axis=0):
    """The slices of an array along an axis.

    Args:
        x: array.
        axis: int.

    Returns:
        tuple of Variables without that axis.
    """
    x = as_variable(x)
    check_axis('Separate', axis, x.ndim)
    return Separate(axis).apply((x,))
