"""Long short-term memory over trees."""

import functools
import inspect

from chainlite._elementwise import elementwise
from chainlite.backends._equations import sigmoid, tanh
from chainlite.functions.rnn._cell import Cell
from chainlite.utils import type_check


@functools.cache
def tree_lstm_cell(n):
    """The cell of a node with n children; its inputs are c0 ... and a, i, o, f0 ..."""

    def TreeLSTMCell(*inputs):
        cs, (a, i, o), fs = inputs[:n], inputs[n : n + 3], inputs[n + 3 :]
        a, i, o, fs = tanh(a), sigmoid(i), sigmoid(o), [sigmoid(f) for f in fs]
        c = sum([f * c for f, c in zip(fs, cs)], a * i)
        t = tanh(c)
        return c, o * t, a, i, o, t, *fs

    names = [f'c{k}' for k in range(n)] + ['a', 'i', 'o'] + [f'f{k}' for k in range(n)]
    positional = inspect.Parameter.POSITIONAL_ONLY
    TreeLSTMCell.__signature__ = inspect.Signature([inspect.Parameter(name, positional) for name in names])
    return elementwise(TreeLSTMCell, outputs=' '.join(['c', 'h', 'ta', 'si', 'so', 'tc'] + [f's{k}' for k in range(n)]))


class TreeLSTM(Cell):
    """c and h (n, m, *d) from the children's cells (n, m, *d) and x (n, (3 + number of children) m, *d)."""

    def forward(self, inputs):
        self.cell = tree_lstm_cell(len(inputs) - 1)
        return super().forward(inputs)

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() >= 2)
        *cs, x = [in_types[i] for i in range(type_check.eval(in_types.size()))]
        c = cs[0]
        type_check.expect(c.ndim >= 2, c.dtype.kind == 'f')
        for other in cs[1:]:
            type_check.expect(other.dtype == c.dtype, other.ndim == c.ndim)
            for i in range(type_check.eval(c.ndim)):
                type_check.expect(other.shape[i] == c.shape[i])
        type_check.expect(x.dtype == c.dtype, x.ndim == c.ndim, x.shape[0] == c.shape[0])
        type_check.expect(x.shape[1] == (3 + len(cs)) * c.shape[1])
        for i in range(2, type_check.eval(c.ndim)):
            type_check.expect(x.shape[i] == c.shape[i])

    def split(self, *inputs):
        *cs, x = inputs
        m = cs[0].shape[1]
        return [*cs, *(x[:, k * m : (k + 1) * m] for k in range(3 + len(cs)))]


def tree_lstm(*inputs):
    """One node of a tree of long short-term memories.

    c = tanh(a) sigmoid(i) + sum over children of sigmoid(f_k) c_k, h = sigmoid(o) tanh(c).

    Args:
        inputs: the children's cells, float arrays (n, m, *d) each; then x, float array (n, (3 + children) m, *d): a, i,
            o, f_1, f_2, ... side by side.

    Returns:
        c and h, (n, m, *d).

    See: Tai et al., Improved Semantic Representations From Tree-Structured LSTMs, https://arxiv.org/abs/1503.00075
    """
    return TreeLSTM().apply(inputs)
