"""Long short-term memory."""

from chainlite import backend
from chainlite._elementwise import elementwise
from chainlite.backends._equations import sigmoid, tanh
from chainlite.functions.array.concat import concat
from chainlite.functions.rnn._cell import Cell, CellGrad
from chainlite.utils import type_check


@elementwise(outputs='c h ta si sf so tc')
def LSTMCell(c_prev, a, i, f, o):
    """The new cell and output; and the gates."""
    a, i, f, o = tanh(a), sigmoid(i), sigmoid(f), sigmoid(o)
    c = a * i + f * c_prev
    t = tanh(c)
    return c, o * t, a, i, f, o, t


@LSTMCell.gradient
def _(c_prev, ta, si, sf, so, tc, gc, gh, gta, gsi, gsf, gso, gtc):  # computes once what the gradients share
    through_h = gh * so
    g = gc + (through_h + gtc) * (1 - tc * tc)
    g_new, g_prev = g * si, g * sf
    return (
        g_prev,
        (g_new + gta) * (1 - ta * ta),
        (g_new * ta + gsi * si) * (1 - si),
        (g_prev * c_prev + gsf * sf) * (1 - sf),
        (through_h * tc + gso * so) * (1 - so),
    )


def split_gates(x, n_gates=4):
    """The gates of x (n, m * n_gates, *d), whose columns take turns, each (n, m, *d)."""
    gates = x.reshape((x.shape[0], x.shape[1] // n_gates, n_gates, *x.shape[2:]))
    return [gates[:, :, k] for k in range(n_gates)]


class LSTM(Cell):
    """c (n, m, *d) and h (k, m, *d) from c_prev (n, m, *d) and x (k, 4 m, *d)."""

    cell = LSTMCell

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 2)
        type_check.argname(in_types, ('c', 'x'))
        c, x = in_types
        type_check.expect(
            c.dtype.kind == 'f', x.dtype == c.dtype, c.ndim >= 2, x.ndim >= 2, c.ndim == x.ndim,
            x.shape[0] <= c.shape[0], x.shape[1] == 4 * c.shape[1],
        )  # fmt: skip
        for i in range(2, type_check.eval(c.ndim)):
            type_check.expect(x.shape[i] == c.shape[i])

    def split(self, c_prev, x):
        return [c_prev[: x.shape[0]], *split_gates(x)]

    # Sequences that have ended: their cells are the last rows of c_prev and of c
    def formula(self, c_prev, x):
        c, h = super().formula(c_prev, x)
        return (c if len(c) == len(c_prev) else concat([c, c_prev[len(c) :]], axis=0)), h

    def forward_kernel(self, c_prev, x):
        (c, h), saved = super().forward_kernel(c_prev, x)
        if len(c) < len(c_prev):
            c = backend.get_array_module(c).concatenate([c, c_prev[len(c) :]])
        return (c, h), saved

    def backward_kernel(self, saved, gy, c_prev, x):
        gc, gh = gy
        gc_prev, gx = super().backward_kernel(saved, (gc if gc is None else gc[: len(x)], gh), c_prev, x)
        gc_prev[len(x) :] = 0 if gc is None else gc[len(x) :]
        return gc_prev, gx


class LSTMGrad(CellGrad):
    """Gradients of c_prev and x from c_prev, x, c, and the gradients of c and h."""

    node = LSTM

    def __call__(self, c_prev, x, c, gc, gh):
        n = len(x)
        gc_prev, gx = super().__call__(c_prev[:n], x, c[:n], gc[:n], gh)
        return concat([gc_prev, gc[n:]], axis=0), gx


def lstm(c_prev, x):
    """One step of long short-term memory: c = tanh(a) sigmoid(i) + sigmoid(f) c_prev, h = sigmoid(o) tanh(c).

    Args:
        c_prev: float array (n, m, *d), the cell before the step.
        x: float array (k, 4 m, *d), k <= n: a, i, f, o of each unit in turn, that is a is x[:, 0::4]. Rows of c_prev
            after the k-th belong to sequences that have ended.

    Returns:
        c, (n, m, *d), in which ended sequences keep their cell, and h, (k, m, *d).

    See: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Zaremba and Sutskever, Learning to Execute,
    https://arxiv.org/abs/1410.4615
    """
    return LSTM().apply((c_prev, x))
