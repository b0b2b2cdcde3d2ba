"""Splitting along an axis."""

import collections.abc

import numpy as np

from chainlite import backend
from chainlite.backends._joining import concatenate
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.utils import type_check
from chainlite.variable import Variable


class SplitAxis(FunctionNode):
    """Cuts an array at places along an axis."""

    def __init__(self, indices_or_sections, axis):
        if isinstance(indices_or_sections, str) or not isinstance(
            indices_or_sections, (int, np.integer, collections.abc.Iterable)
        ):
            raise TypeError(f'indices_or_sections must be integer or 1-D array.\nActual: {type(indices_or_sections)}')
        if isinstance(indices_or_sections, np.ndarray) and indices_or_sections.ndim > 1:
            raise TypeError('indices_or_sections must be 1-D sequence')
        if isinstance(indices_or_sections, (int, np.integer)):
            self.sections = indices_or_sections
            if self.sections < 0:
                raise ValueError('number sections must be larger than 0.')
        else:
            self.sections = [int(i) for i in indices_or_sections]
        self.axis = axis

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        (x,) = in_types
        type_check.expect(x.ndim > self.axis)
        if isinstance(self.sections, list):
            if config.debug and self.sections != sorted(self.sections):
                raise ValueError(f'indices_or_sections must be in ascending order, not {self.sections}')
            if self.sections:
                type_check.expect(x.shape[self.axis] >= max(self.sections))
        else:
            sections = type_check.make_variable(self.sections, 'sections')
            type_check.expect(x.shape[self.axis] % sections == 0)

    def forward(self, inputs):
        (x,) = inputs
        n = x.shape[self.axis]
        self.x_shape, self.x_dtype, self.xp = x.shape, x.dtype, backend.get_array_module(x)
        ends = self.sections
        if not isinstance(ends, list):
            ends = range(n // ends, n, n // ends) if n else [0] * (ends - 1)
        ends = [0, *ends, n]
        whole = [slice(None)] * x.ndim
        ys = []
        for start, stop in zip(ends, ends[1:]):
            whole[self.axis] = slice(start, stop)
            ys.append(x[tuple(whole)])
        self.shapes = [y.shape for y in ys]
        return tuple(ys)

    def _zeros(self, i):
        return self.xp.zeros(self.shapes[i], self.x_dtype)

    def backward(self, target_input_indexes, grad_outputs):
        gys = [Variable(self._zeros(i), requires_grad=False) if g is None else g for i, g in enumerate(grad_outputs)]
        return SplitAxisGrad(self.sections, self.axis).apply(gys)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        gys = tuple([self._zeros(i) if g is None else g for i, g in enumerate(grad_outputs)])
        return SplitAxisGrad(self.sections, self.axis).forward(gys)


class SplitAxisGrad(FunctionNode):
    """Joins the gradients of the parts."""

    def __init__(self, sections, axis):
        self.sections, self.axis = sections, axis

    def forward(self, inputs):
        return (concatenate(inputs, self.axis),)

    def backward(self, target_input_indexes, grad_outputs):
        gys = SplitAxis(self.sections, self.axis).apply(grad_outputs)
        return tuple([gys[i] for i in target_input_indexes])


def split_axis(x, indices_or_sections, axis, force_tuple=True):
    """Splits an array along an axis.

    Args:
        x: array.
        indices_or_sections: int, the number of equal parts; or 1-D array of places to cut at (negative: from the end).
        axis: int.
        force_tuple: whether a single part comes as a tuple too.

    Returns:
        tuple of Variables.
    """
    ys = SplitAxis(indices_or_sections, axis).apply((x,))
    return ys[0] if not force_tuple and len(ys) == 1 else ys
