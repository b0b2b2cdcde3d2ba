"""The transpose of maximum pooling."""

from chainlite.backends.cpu.pooling import max_pick, max_spread
from chainlite.function_node import FunctionNode
from chainlite.functions.pooling.pooling_nd import Linear
from chainlite.functions.pooling.unpooling_2d import Unpooling2D
from chainlite.utils import type_check


class Upsampling2D(Unpooling2D):
    """Puts each element where a maximum was.

    Attributes:
        indexes: int array: numbers of the places in the windows, in row order.
        outs: sizes of the result.
    """

    def __init__(self, indexes, ksize, stride=None, pad=0, outsize=None, cover_all=True):
        super().__init__(ksize, stride, pad, outsize, cover_all)
        self.indexes = indexes

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1)
        (x,) = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim == 4, x.shape == self.indexes.shape)

    def _check_data_type_forward(self, in_data):
        FunctionNode._check_data_type_forward(self, in_data)
        super()._check_data_type_forward(in_data)

    def _spread(self, x):
        return max_spread(x, self.indexes, *self._window, self.outs)

    def transposed(self):
        return Upsampling2DGrad(self)


class Upsampling2DGrad(Linear):
    """Picks the elements where the maxima were."""

    def __init__(self, upsampling2d):
        self.func = upsampling2d

    def forward(self, inputs):
        return (max_pick(inputs[0], self.func.indexes, *self.func._window),)

    def transposed(self):
        func = self.func
        return Upsampling2D(func.indexes, *func._window, func.outs, func.cover_all)


def upsampling_2d(x, indexes, ksize, stride=None, pad=0, outsize=None, cover_all=True):
    """Puts each element of x at a place of its window, and zeros elsewhere: the transpose of maximum pooling.

    Args:
        x: float array (n, c, h, w).
        indexes: int array of x's shape: the places, numbers in row order, as `MaxPoolingND.indexes` has them.
        ksize, stride, pad, cover_all: those of the pooling.
        outsize: pair of ints, the size of the result, or None to work it out.

    Returns:
        Variable (n, c, *outsize).
    """
    return Upsampling2D(indexes, ksize, stride, pad, outsize, cover_all).apply((x,))[0]
