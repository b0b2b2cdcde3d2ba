"""Transfer between devices."""

from chainlite import backend
from chainlite.backends import cuda
from chainlite.function_node import FunctionNode
from chainlite.variable import as_variable, operations


class Copy(FunctionNode):
    """A copy on another device; the gradient goes back to where the input was."""

    def __init__(self, in_device, out_device):
        self._in_device, self.out_device = in_device, out_device

    def forward(self, inputs):
        (x,) = inputs
        y = self.out_device.send(x)
        return ((y.copy() if y is x else y),)

    def backward(self, target_input_indexes, grad_outputs):
        return Copy(self.out_device, self._in_device).apply(grad_outputs)


def copy(x, dst):
    """A copy of `x` on the device `dst`, differentiable.

    Args:
        x: array.
        dst: device, or anything that `get_device` takes (-1: the CPU).
    """
    x = as_variable(x)
    dst = backend.get_device(-1 if dst is cuda.DummyDevice else dst)
    (y,) = Copy(x.device, dst).apply((x,))
    return y


operations.copy = copy
