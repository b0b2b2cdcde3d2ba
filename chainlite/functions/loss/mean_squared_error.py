"""Mean squared error."""

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode


class MeanSquaredError(FunctionNode):
    """mean((x0 - x1) ** 2)"""

    check = 'x0: f (*s), x1: =x0 (*s)'

    def forward(self, inputs):
        self.retain_inputs((0, 1))
        x0, x1 = inputs
        difference = (x0 - x1).ravel()
        wide = difference.astype('f') if x0.itemsize == 2 else difference
        # NumPy's product is its fastest sum; CuPy's cannot be part of a CUDA graph.
        total = wide.dot(wide) if isinstance(wide, np.ndarray) else (wide * wide).sum()
        return (backend.get_array_module(x0).asarray(total / max(x0.size, 1), x0.dtype),)

    def _sign(self, i):
        return 2.0 / max(self.inputs[0].data.size, 1) * (1 if i == 0 else -1)

    def backward(self, target_input_indexes, grad_outputs):
        x0, x1 = self.get_retained_inputs()
        gy = grad_outputs[0] * (x0 - x1)
        return tuple([gy * self._sign(i) for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        x0, x1 = [x.data for x in self.inputs]
        gy = grad_outputs[0] * (x0 - x1)
        return tuple([gy * gy.dtype.type(self._sign(i)) for i in target_input_indexes])


def mean_squared_error(x0, x1):
    """Mean of (x0 - x1) ** 2 over all elements.

    Args:
        x0, x1: float arrays of one shape and dtype.

    Returns:
        Variable with a scalar.
    """
    return MeanSquaredError().apply((x0, x1))[0]
