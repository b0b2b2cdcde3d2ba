"""Rows of a table by their numbers."""

from chainlite.backends.cpu.embed_id import add_rows, take_rows
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.utils import type_check
from chainlite.utils._check import kind_of


class EmbedIDFunction(FunctionNode):
    """From numbers and a table to the rows."""

    input_names = 'x', 'W'

    def __init__(self, ignore_label=None):
        self.ignore_label = ignore_label

    def _check_data_type_forward(self, in_data):
        if (
            len(in_data) != 2
            or in_data[0].dtype.kind != 'i'
            or kind_of(in_data[1].dtype) != 'f'
            or in_data[1].ndim != 2
        ):
            super()._check_data_type_forward(in_data)  # says in detail what is wrong

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 2)
        x, W = in_types
        type_check.expect(x.dtype.kind == 'i', W.dtype.kind == 'f', W.ndim == 2)

    def forward(self, inputs):
        x, W = inputs
        self._w_shape, self._w_dtype = W.shape, W.dtype
        if config.debug and not ((x >= 0) & (x < len(W)) | (x == self.ignore_label)).all():
            raise ValueError('Each not ignored `x` value need to satisfy `0 <= x < len(W)`')
        return (take_rows(W, x, self.ignore_label),)

    def select_retained(self, needs_grad):
        if 1 in needs_grad:
            self.retain_inputs((0,))

    def backward(self, target_input_indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        (gW,) = EmbedIDGrad(self._w_shape, self.ignore_label).apply((x, *grad_outputs))
        return tuple([gW if i == 1 else None for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return tuple(
            [
                add_rows(grad_outputs[0], self.inputs[0].data, self._w_shape, self._w_dtype, self.ignore_label)
                if i == 1
                else None
                for i in target_input_indexes
            ]
        )


class EmbedIDGrad(FunctionNode):
    """From numbers and rows to the table that has the rows added up."""

    def __init__(self, w_shape, ignore_label=None):
        self.w_shape, self.ignore_label = w_shape, ignore_label

    def forward(self, inputs):
        x, gy = inputs
        self.retain_inputs((0,))
        return (add_rows(gy, x, self.w_shape, gy.dtype, self.ignore_label),)

    def backward(self, target_input_indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        (ggy,) = EmbedIDFunction(self.ignore_label).apply((x, *grad_outputs))
        return tuple([ggy if i == 1 else None for i in target_input_indexes])


def embed_id(x, W, ignore_label=None):
    """Rows of W by their numbers.

    Args:
        x: int array of any shape: numbers of rows, from the end if negative. What is no row is an IndexError; on a
            GPU, where looking would wait for the device, it is taken modulo v, and is a ValueError in debug mode.
        W: float array (v, d), the table.
        ignore_label: the number whose row is 0 and has no gradient, or None.

    Returns:
        Variable of x's shape and then d.
    """
    return EmbedIDFunction(ignore_label).apply((x, W))[0]
