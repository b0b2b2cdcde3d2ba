"""Zoneout."""

from chainlite import backend
from chainlite.backends.cpu.noise import uniform
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.functions.array.where import where
from chainlite.utils import argument
from chainlite.variable import as_variable


class Zoneout(FunctionNode):
    """Elements of h with probability `zoneout_ratio`, of x elsewhere. Once drawn, the choice stays.

    Attributes:
        flag_h, flag_x: bool arrays, where h and where x is chosen.
    """

    check = 'h: f (*s), x: f (*s)'
    flag_h = flag_x = None

    def __init__(self, zoneout_ratio):
        self.zoneout_ratio = zoneout_ratio

    def forward(self, inputs):
        h, x = inputs
        xp = backend.get_array_module(x)
        if self.flag_x is None:
            self.flag_x = xp.asarray(uniform(x, x.shape) >= self.zoneout_ratio)
            self.flag_h = xp.asarray(~self.flag_x)
        return (xp.where(self.flag_x, x, h).astype(x.dtype, copy=False),)  # CuPy makes float32 of bfloat16

    def backward(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        zeros = gy.xp.zeros_like(gy.array)
        gxs = where(self.flag_h, gy, zeros), where(self.flag_x, gy, zeros)
        return tuple([gxs[i] for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        xp = backend.get_array_module(gy)
        gxs = [xp.where(flag, gy, 0).astype(gy.dtype, copy=False) for flag in (self.flag_h, self.flag_x)]
        return tuple([gxs[i] for i in target_input_indexes])


def zoneout(h, x, ratio=0.5, **kwargs):
    """Keeps elements of h at random, in training mode, and takes x elsewhere; x in test mode.

    Args:
        h: float array, the state before.
        x: float array of the same shape, the state after.
        ratio: float, the probability of an element of h.

    Returns:
        Variable of that shape.

    See: Krueger et al., Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations,
    https://arxiv.org/abs/1606.01305
    """
    argument.parse_kwargs(kwargs, **argument.removed('train'))
    return Zoneout(ratio).apply((h, x))[0] if config.train else as_variable(x)
