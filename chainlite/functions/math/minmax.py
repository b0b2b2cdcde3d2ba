"""Maximum and minimum over axes, and where they are."""

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.math.basic_math import Mul
from chainlite.functions.math.sum import SumGrad, check_axes
from chainlite.variable import Variable, as_variable


class Selector(FunctionNode):
    """An extremum over axes. The gradient goes to every element that equals it."""

    check = 'x: f'
    select = None

    def __init__(self, axis=None, keepdims=False):
        self.axis = axis if axis is None or isinstance(axis, tuple) else (axis,)
        self.keepdims = keepdims

    def forward(self, inputs):
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        (x,) = inputs
        return (np.asarray(self.select(x)) if isinstance(x, np.ndarray) else self.select(x),)

    def backward(self, target_input_indexes, grad_outputs):
        x, y = self.get_retained_inputs()[0].array, self.get_retained_outputs()[0].array
        spread = SumGrad(x.shape, self.axis, self.keepdims)
        chosen = backend.get_array_module(x).asarray(x == spread.forward((y,))[0], x.dtype)
        return Mul().apply((spread.apply(grad_outputs)[0], Variable(chosen, requires_grad=False)))


class Max(Selector):
    def select(self, x):
        return x.max(axis=self.axis, keepdims=self.keepdims)


class Min(Selector):
    def select(self, x):
        return x.min(axis=self.axis, keepdims=self.keepdims)


class IndexSelector(FunctionNode):
    """The place of an extremum; without a gradient."""

    check = 'x: f'
    select = None

    def __init__(self, axis=None):
        if axis is not None and not isinstance(axis, (int, np.integer)):
            raise TypeError('None or int are required')
        self.axis = axis

    def forward(self, inputs):
        (x,) = inputs
        return (backend.get_array_module(x).asarray(self.select(x)).astype(np.int32),)

    def backward(self, target_input_indexes, grad_outputs):
        return (None,)


class ArgMax(IndexSelector):
    def select(self, x):
        return x.argmax(axis=self.axis)


class ArgMin(IndexSelector):
    def select(self, x):
        return x.argmin(axis=self.axis)


def max(x, axis=None, keepdims=False):
    """Largest element over axes.

    Args:
        x: float array.
        axis: int or tuple of ints; all axes if None.
        keepdims: whether the axes stay, with length 1.
    """
    return _select(Max, x, axis, keepdims)


def min(x, axis=None, keepdims=False):
    """Smallest element over axes; arguments as for `max`."""
    return _select(Min, x, axis, keepdims)


def argmax(x, axis=None):
    """Index (int32) of the first largest element along an axis, or in the flattened array."""
    return _select_index(ArgMax, x, axis)


def argmin(x, axis=None):
    """Index (int32) of the first smallest element along an axis, or in the flattened array."""
    return _select_index(ArgMin, x, axis)


def _select(node, x, axis, keepdims):
    x = as_variable(x)
    check_axes(node.__name__, axis, x.ndim)
    return node(axis, keepdims).apply((x,))[0]


def _select_index(node, x, axis):
    x = as_variable(x)
    function = node(axis)
    check_axes(node.__name__, axis, x.ndim)
    return function.apply((x,))[0]
