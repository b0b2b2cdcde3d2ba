"""Accuracy of binary classifications."""

from chainlite import backend
from chainlite.function_node import FunctionNode


class BinaryAccuracy(FunctionNode):
    """Share of the labels 0 and 1 that agree with the sign of the score; without a gradient."""

    ignore_label = -1
    check = 'x: f (*s), t: i (*s)'

    def forward(self, inputs):
        y, t = inputs
        xp = backend.get_array_module(y)
        counts = t != self.ignore_label
        correct = ((y >= 0) == t) & counts
        return (xp.asarray(correct.sum() / xp.maximum(counts.sum(), 1), y.dtype),)


def binary_accuracy(y, t):
    """Share of the labels that agree with the sign of the score.

    Args:
        y: float array of any shape, the scores: a prediction of 1 from 0 on, of 0 below.
        t: int array of the same shape, labels 0 or 1; -1 does not count.

    Returns:
        Variable with a scalar of y's dtype, without a gradient.
    """
    return BinaryAccuracy().apply((y, t))[0]
