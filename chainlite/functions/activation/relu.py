"""Rectified linear unit."""

from chainlite._elementwise import Elementwise, elementwise
from chainlite.backends._equations import maximum, where
from chainlite.backends.cpu.relu import relu_grad


class _Rectifier(Elementwise):
    def backward_arrays(self, target_input_indexes, grad_outputs):
        return (relu_grad(self._retained_output_data[0], grad_outputs[0]),)


@elementwise(base=_Rectifier)
def ReLU(x):
    return maximum(x, 0)


@ReLU.gradient
def _(y, gy):
    return where(y > 0, gy, 0)


def relu(x):
    """max(0, x), elementwise. NaN stays NaN.

    Args:
        x: float array of any shape.

    Returns:
        Variable of the same shape and dtype.
    """
    return ReLU().apply((x,))[0]
