"""Rectified linear unit."""

from chainlite._elementwise import Elementwise, elementwise
from chainlite.backends._deferred import Deferred, Rectified, solid
from chainlite.backends._equations import maximum, where
from chainlite.backends.cpu.relu import relu_grad
from chainlite.configuration import config
from chainlite.functions.math.basic_math import Add


class _Rectifier(Elementwise):
    """After a normalization or a prediction's convolution it is left to their kernels, see backends._deferred."""

    any_layout = gives_new = True

    def _private_data(self, xs):
        x = xs[0]._unfinished('takes_relu')
        return super()._private_data(xs) if x is None else (x,)

    def forward_any(self, inputs):
        (x,) = inputs
        y = x.relu() if isinstance(x, Deferred) else None
        return self.forward((solid(x),)) if y is None else (y,)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        (gy,), (y,) = grad_outputs, self._retained_output_data
        if _leads_to_normalization(self.inputs[0]) and not config.debug:
            return (Rectified(gy, y),)
        return (relu_grad(solid(y), gy),)


def _leads_to_normalization(x):
    """Whether the gradient of x goes to a normalization, perhaps through an addition."""
    function = x._creator_node
    if isinstance(function, Add):
        return function.inputs is not None and any([_is_normalized(x) for x in function.inputs])
    return _is_normalized(x)


def _is_normalized(x):
    function = x._creator_node
    return function is not None and function.takes_deferred and not isinstance(function, Add)


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
