"""Dropout."""

import numpy as np

from chainlite import backend
from chainlite.backends.cpu import noise
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.utils import argument
from chainlite.variable import as_variable


class Dropout(FunctionNode):
    """Multiplies by a mask of zeros and 1 / (1 - ratio). Once drawn, it stays, so that a second run is the same. On
    GPUs it is not stored: it is made again where it is wanted."""

    check = 'x: f (*s)'
    _draw = None  # what the kernels know the mask by

    def __init__(self, dropout_ratio, mask=None, return_mask=False):
        if not 0.0 <= dropout_ratio < 1.0:
            raise ValueError('dropout_ratio must be in the range [0, 1)')
        self.dropout_ratio, self._mask, self.return_mask = dropout_ratio, mask, return_mask

    @property
    def mask(self):
        """Array like x, or None before it is drawn."""
        if self._mask is None and self._draw is not None:
            xp, shape, dtype = self._like
            self._mask = noise.dropout_again(xp.ones(shape, dtype), self._draw, self.dropout_ratio)
        return self._mask

    @mask.setter
    def mask(self, mask):
        self._mask = mask

    def forward(self, inputs):
        (x,) = inputs
        if self._mask is not None and self._mask.shape != x.shape:
            raise ValueError(f'mask.shape is {self._mask.shape}, it must be the shape of x, {x.shape}')
        if self._mask is None and self._draw is None:
            y, self._draw = noise.dropout(x, self.dropout_ratio)
            self._like = backend.get_array_module(x), x.shape, x.dtype
        else:
            y = self._multiply(x)
        return (y if isinstance(y, type(x)) else np.asarray(y),)

    def _multiply(self, x):
        return noise.dropout_again(x, self._draw, self.dropout_ratio) if self._mask is None else x * self._mask

    def backward(self, target_input_indexes, grad_outputs):
        node = DropoutGrad(self.dropout_ratio, self._mask)
        node._draw = self._draw
        return node.apply(grad_outputs)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return (self._multiply(grad_outputs[0]),)


class DropoutGrad(Dropout):
    """The same product, of gradients."""


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
        kwargs, ('mask', None), ('return_mask', False), **argument.removed('train')
    )
    if config.train:
        node = Dropout(ratio, mask, return_mask)
        (y,) = node.apply((x,))
        return (y, node.mask) if return_mask else y
    y = as_variable(x)
    return (y, None) if return_mask else y
