"""Accuracy of a classification."""

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.utils import type_check


class Accuracy(FunctionNode):
    """Share of the labels that are the class of the highest score; without a gradient."""

    def __init__(self, ignore_label=None):
        self.ignore_label = ignore_label

    def check_type_forward(self, in_types):
        type_check.argname(in_types, ('x', 't'))
        x, t = in_types
        type_check.expect(x.dtype.kind == 'f', t.dtype.kind == 'i')
        t_ndim = type_check.eval(t.ndim)
        type_check.expect(x.ndim >= t.ndim, x.shape[0] == t.shape[0], x.shape[2 : t_ndim + 1] == t.shape[1:])
        for i in range(t_ndim + 1, type_check.eval(x.ndim)):
            type_check.expect(x.shape[i] == 1)

    def forward(self, inputs):
        y, t = inputs
        xp = backend.get_array_module(y)
        correct = y.argmax(axis=1).reshape(t.shape) == t
        if self.ignore_label is None:
            return (xp.asarray(correct.mean(), y.dtype),)
        counts = t != self.ignore_label
        total = counts.sum()
        return (xp.asarray((correct & counts).sum() / xp.maximum(total, 1), y.dtype),)


def accuracy(y, t, ignore_label=None):
    """Share of the labels that are the class of the highest score.

    Args:
        y: float array (n, k, *d) of scores.
        t: int array (n, *d) of labels.
        ignore_label: a label that does not count, or None.

    Returns:
        Variable with a scalar, without a graph behind it.
    """
    return Accuracy(ignore_label).apply((y, t))[0]
