"""Sequences of different lengths as one array."""

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.array.get_item import get_item
from chainlite.utils import type_check


class PadSequence(FunctionNode):
    def __init__(self, length, padding):
        self.length, self.padding = length, padding

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() > 0)
        type_check.argname(in_types, [f'x{i}' for i in range(type_check.eval(in_types.size()))])
        first = in_types[0]
        for x in in_types:
            type_check.expect(x.ndim > 0, x.shape[1:] == first.shape[1:], x.dtype == first.dtype)
            if self.length is not None:
                type_check.expect(x.shape[0] <= self.length)

    def forward(self, xs):
        length = max(map(len, xs)) if self.length is None else self.length
        y = backend.get_array_module(*xs).full((len(xs), length, *xs[0].shape[1:]), self.padding, xs[0].dtype)
        for row, x in zip(y, xs):
            row[: len(x)] = x
        return (y,)

    def backward(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        return tuple([get_item(gy, (i, slice(self.inputs[i].shape[0]))) for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        return tuple([gy[i, : self.inputs[i].shape[0]] for i in target_input_indexes])


def pad_sequence(xs, length=None, padding=0):
    """Puts sequences of different lengths into one array.

    Args:
        xs: list of n arrays that agree in dtype and in every axis but the first.
        length: int, the length of all; that of the longest by default.
        padding: value of what is added at the ends.

    Returns:
        Variable of shape (n, length, ...).
    """
    return PadSequence(length, padding).apply(xs)[0]
