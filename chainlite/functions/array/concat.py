"""Concatenation."""

from itertools import accumulate

from chainlite.backends._joining import concatenate
from chainlite.function_node import FunctionNode
from chainlite.functions.array._axes import check_int, expect_alike
from chainlite.functions.array.split_axis import SplitAxis
from chainlite.utils import type_check


class Concat(FunctionNode):
    """Joins arrays along an existing axis."""

    def __init__(self, axis=1):
        check_int(axis, 'axis')
        self.axis = axis

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() > 0)
        first = in_types[0]
        type_check.expect(
            first.ndim > type_check.make_variable(self.axis, 'axis') if self.axis >= 0 else first.ndim >= -self.axis
        )
        expect_alike(in_types, self.axis % type_check.eval(first.ndim))

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
