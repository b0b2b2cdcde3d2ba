"""Sequences by time."""

from chainlite import backend
from chainlite.backends._joining import stack
from chainlite.function_node import FunctionNode
from chainlite.utils import type_check
from chainlite.variable import Variable


def _transpose(xs, length):
    """Arrays of what the sequences, the longest first, have at each time before `length`."""
    xp = backend.get_array_module(*xs)
    ys, n = [], len(xs)
    for t in range(length):
        while n and len(xs[n - 1]) <= t:
            n -= 1
        ys.append(stack([x[t] for x in xs[:n]]) if n else xp.empty((0, *xs[0].shape[1:]), xs[0].dtype))
    return tuple(ys)


class TransposeSequence(FunctionNode):
    def __init__(self, length):
        self.length = length

    def check_type_forward(self, xs_type):
        for former, latter in zip(xs_type, xs_type[1:]):
            type_check.expect(former.shape[0] >= latter.shape[0], former.shape[1:] == latter.shape[1:])

    def forward(self, xs):
        if not xs:
            return ()
        self.lengths, self.shape, self.dtype = list(map(len, xs)), xs[0].shape[1:], xs[0].dtype
        self.xp = backend.get_array_module(*xs)
        return _transpose(xs, self.length)

    def _known(self, grad_outputs, wrap):
        sizes = [sum(n > t for n in self.lengths) for t in range(self.length)]
        return [
            wrap(self.xp.zeros((n, *self.shape), self.dtype)) if g is None else g for n, g in zip(sizes, grad_outputs)
        ]

    def backward(self, target_input_indexes, grad_outputs):
        gys = self._known(grad_outputs, lambda zeros: Variable(zeros, requires_grad=False))
        gxs = TransposeSequence(len(self.inputs)).apply(gys)
        return tuple([gxs[i] for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        gxs = _transpose(self._known(grad_outputs, lambda zeros: zeros), len(self.inputs))
        return tuple([gxs[i] for i in target_input_indexes])


def transpose_sequence(xs):
    """Sequences, the longest first, as arrays by time: `ys[t]` holds element t of each sequence that has one.

    Args:
        xs: list of arrays that agree in every axis but the first, in order of descending length.

    Returns:
        tuple of Variables, as many as the longest sequence has elements. Applied again, it gives `xs` back.
    """
    if not xs:
        return ()
    return TransposeSequence(len(xs[0])).apply(xs)
