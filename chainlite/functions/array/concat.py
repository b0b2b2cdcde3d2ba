"""Concatenation."""

from itertools import accumulate

import numpy as np

from chainlite.backends._joining import concatenate
from chainlite.function_node import FunctionNode
from chainlite.functions.array.split_axis import SplitAxis
from chainlite.utils import type_check


class Concat(FunctionNode):
    """Joins arrays along an existing axis."""

    def __init__(self, axis=1):
        if not isinstance(axis, (int, np.integer)):
            raise TypeError('axis must be int')
        self.axis = axis

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() > 0)
        first = in_types[0]
        type_check.expect(
            first.ndim > type_check.make_variable(self.axis, 'axis') if self.axis >= 0 else first.ndim >= -self.axis
        )
        axis = self.axis % type_check.eval(first.ndim)
        for other in in_types[1:]:
            type_check.expect(first.dtype == other.dtype, other.ndim == first.ndim)
            for d in range(type_check.eval(first.ndim)):
                if d != axis:
                    type_check.expect(first.shape[d] == other.shape[d])

    def forward(self, inputs):
        return (concatenate(inputs, self.axis),)

    def _split(self):
        return SplitAxis(accumulate([x.shape[self.axis] for x in self.inputs[:-1]]), self.axis)

    def backward(self, target_input_indexes, grad_outputs):
        if len(self.inputs) == 1:
            return grad_outputs
        return self._split().apply(grad_outputs)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        if len(self.inputs) == 1:
            return grad_outputs
        gxs = self._split().forward(grad_outputs)
        return tuple([gxs[i] for i in target_input_indexes])


def concat(xs, axis=1):
    """Joins arrays along an axis.

    Args:
        xs: sequence of arrays that agree in dtype and in every other axis.
        axis: int.
    """
    return Concat(axis).apply(xs)[0]
