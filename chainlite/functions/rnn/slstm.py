"""S-LSTM: long short-term memory with two predecessors."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import sigmoid, tanh
from chainlite.functions.rnn._cell import Cell, CellGrad
from chainlite.functions.rnn.lstm import split_gates
from chainlite.utils import type_check


@elementwise(outputs='c h ta1 si1 sf1 ta2 si2 sf2 so tc')
def SLSTMCell(c_prev1, c_prev2, a1, i1, f1, o1, a2, i2, f2, o2):
    """The new cell and output; and the gates."""
    a1, i1, f1, a2, i2, f2 = tanh(a1), sigmoid(i1), sigmoid(f1), tanh(a2), sigmoid(i2), sigmoid(f2)
    o = sigmoid(o1 + o2)
    c = a1 * i1 + f1 * c_prev1 + a2 * i2 + f2 * c_prev2
    t = tanh(c)
    return c, o * t, a1, i1, f1, a2, i2, f2, o, t


class SLSTM(Cell):
    """c and h (n, m, *d) from c_prev1, c_prev2 (n, m, *d) and x1, x2 (n, 4 m, *d)."""

    cell = SLSTMCell

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 4)
        type_check.argname(in_types, ('c_prev1', 'c_prev2', 'x1', 'x2'))
        c1, c2, x1, x2 = in_types
        type_check.expect(
            c1.dtype.kind == 'f', c2.dtype == c1.dtype, x1.dtype == c1.dtype, x2.dtype == c1.dtype,
            c1.ndim >= 2, c2.ndim >= 2, x1.ndim >= 2, x2.ndim >= 2, c1.ndim == x1.ndim, c1.ndim == c2.ndim,
            c1.ndim == x2.ndim, c1.shape[0] == x1.shape[0], c1.shape[0] == c2.shape[0], c1.shape[0] == x2.shape[0],
            x1.shape[1] == 4 * c1.shape[1], x2.shape[1] == 4 * c2.shape[1], c1.shape[1] == c2.shape[1],
        )  # fmt: skip
        for i in range(2, type_check.eval(c1.ndim)):
            type_check.expect(x1.shape[i] == c1.shape[i], c2.shape[i] == c1.shape[i], x2.shape[i] == c1.shape[i])

    def split(self, c_prev1, c_prev2, x1, x2):
        return [c_prev1, c_prev2, *split_gates(x1), *split_gates(x2)]


class SLSTMGrad(CellGrad):
    """Gradients of the four inputs from these, c, and the gradients of c and h."""

    node = SLSTM


def slstm(c_prev1, c_prev2, x1, x2):
    """One step of an LSTM that joins two predecessors, as the two children of a node of a tree.

    c = tanh(a1) sigmoid(i1) + sigmoid(f1) c_prev1 + tanh(a2) sigmoid(i2) + sigmoid(f2) c_prev2,
    h = sigmoid(o1 + o2) tanh(c).

    Args:
        c_prev1, c_prev2: float arrays (n, m, *d), the cells of the predecessors.
        x1, x2: float arrays (n, 4 m, *d): a, i, f, o of each unit in turn, that is a1 is x1[:, 0::4].

    Returns:
        c and h, (n, m, *d).

    See: Zhu et al., Long Short-Term Memory Over Tree Structures, https://arxiv.org/abs/1503.04881
    """
    return SLSTM().apply((c_prev1, c_prev2, x1, x2))
