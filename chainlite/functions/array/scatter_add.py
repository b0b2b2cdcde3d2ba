"""Addition at indexed places."""

from chainlite.backends.cpu.indexing import add_at
from chainlite.function_node import FunctionNode
from chainlite.functions.array.get_item import _index, get_item
from chainlite.utils import type_check


class ScatterAdd(FunctionNode):
    def __init__(self, slices):
        self.slices = _index(slices)

    def check_type_forward(self, in_types):
        type_check.argname(in_types, ('a', 'b'))
        type_check.expect(in_types[0].ndim >= sum(s is not None and s is not Ellipsis for s in self.slices))

    def forward(self, inputs):
        a, b = inputs
        if a[self.slices].shape != b.shape:
            raise ValueError('Chainer does not support automatic broadcasting of variables.')
        return (a + add_at(b.astype(a.dtype, copy=False), self.slices, a.shape),)

    def backward(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        return tuple([gy if i == 0 else get_item(gy, self.slices) for i in target_input_indexes])


def scatter_add(a, slices, b):
    """`a` with `b` added at `a[slices]`; places that are named twice get both.

    Args:
        a: array.
        slices: an index or a tuple of indices, as for `get_item`.
        b: array of the shape of `a[slices]`.
    """
    return ScatterAdd(slices).apply((a, b))[0]
