"""What dstack, hstack and vstack share: arrays get a least number of axes and are then joined along one of them."""

import numpy as np

from chainlite.backends._joining import concatenate
from chainlite.function_node import FunctionNode
from chainlite.functions.array._axes import expect_alike
from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.split_axis import split_axis
from chainlite.utils import type_check


class Stacking(FunctionNode):
    """Concatenation along `axis` of arrays whose shapes went through `raised`; a 1-D array is joined along
    `axis_1d`."""

    axis = axis_1d = None

    @staticmethod
    def raised(shape):
        """The shape with the axes that it lacks."""
        raise NotImplementedError

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() > 0)
        type_check.argname(in_types, [f'x{i}' for i in range(type_check.eval(in_types.size()))])
        first = in_types[0]
        ndim = type_check.eval(first.ndim)
        axis = self._axis(ndim) - (len(self.raised((1,) * ndim)) - ndim if ndim < 2 and self.axis == 0 else 0)
        expect_alike(in_types, axis)

    def _axis(self, ndim):
        return self.axis_1d if ndim < 2 else self.axis

    def forward(self, inputs):
        xs = [x.reshape(self.raised(x.shape)) for x in inputs]
        return (concatenate(xs, self._axis(inputs[0].ndim)),)

    def backward(self, target_input_indexes, grad_outputs):
        shapes = [x.shape for x in self.inputs]
        axis = self._axis(len(shapes[0]))
        ends = np.cumsum([self.raised(s)[axis] for s in shapes[:-1]])
        gxs = split_axis(grad_outputs[0], ends, axis)
        return tuple([reshape(gxs[i], shapes[i]) for i in target_input_indexes])
