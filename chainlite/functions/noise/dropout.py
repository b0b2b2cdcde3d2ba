"""Dropout."""

import numpy as np

from chainlite import backend
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.utils import argument
from chainlite.variable import as_variable


class Dropout(FunctionNode):
    """Multiplies by a mask of zeros and 1 / (1 - ratio). Once made, the mask is kept, so that a second run is the
    same."""

    check = 'x: f (*s)'

    def __init__(self, dropout_ratio, mask=None, return_mask=False):
        if not 0.0 <= dropout_ratio < 1.0:
            raise ValueError('dropout_ratio must be in the range [0, 1)')
        self.dropout_ratio, self.mask, self.return_mask = dropout_ratio, mask, return_mask

    def forward(self, inputs):
        (x,) = inputs
        if self.mask is None:
            self.mask = make_mask(x, self.dropout_ratio)
        elif self.mask.shape != x.shape:
            raise ValueError(f'mask.shape is {self.mask.shape}, it must be the shape of x, {x.shape}')
        y = x * self.mask
        return (y if isinstance(y, type(x)) else np.asarray(y),)

    def backward(self, target_input_indexes, grad_outputs):
        return DropoutGrad(self.dropout_ratio, self.mask).apply(grad_outputs)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return (grad_outputs[0] * self.mask,)


class DropoutGrad(Dropout):
    """The same product, of gradients."""


def make_mask(x, ratio):
    """Array like `x`: 0 with probability `ratio`, 1 / (1 - ratio) elsewhere."""
    xp = backend.get_array_module(x)
    if xp is np:
        mask = np.random.rand(*x.shape) >= ratio
        return np.multiply(mask, 1.0 / (1 - ratio), dtype=x.dtype)
    return (xp.random.rand(*x.shape, dtype=np.float32) >= ratio) * x.dtype.type(1.0 / (1 - ratio))


def dropout(x, ratio=0.5, **kwargs):
    """Sets elements to zero at random and scales the others up, in training mode; the identity in test mode.

    Args:
        x: float array of any shape.
        ratio: float in [0, 1), the probability of zero.
        mask: array of the shape of `x` to multiply by instead of a random one.
        return_mask: whether to return the mask (None in test mode) as well.

    See: http://arxiv.org/abs/1207.0580
    """
    mask, return_mask = argument.parse_kwargs(
        kwargs,
        ('mask', None),
        ('return_mask', False),
        train='train argument is not supported anymore. Use chainer.using_config',
    )
    if config.train:
        node = Dropout(ratio, mask, return_mask)
        (y,) = node.apply((x,))
        return (y, node.mask) if return_mask else y
    y = as_variable(x)
    return (y, None) if return_mask else y
