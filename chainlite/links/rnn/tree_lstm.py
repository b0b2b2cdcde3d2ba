from chainlite.functions.activation.sigmoid import sigmoid
from chainlite.functions.activation.tanh import tanh
from chainlite.functions.array.concat import concat
from chainlite.functions.array.split_axis import split_axis
from chainlite.functions.rnn.tree_lstm import tree_lstm
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear


class TreeLSTMBase(Chain):
    """What tree LSTMs share: the arguments of a call."""

    def _split(self, cshsx):
        """Returns cells, outputs and input, with zeros in place of None."""
        *states, x = cshsx
        given = next((v for v in cshsx if v is not None), None)
        if given is None:
            raise ValueError('All inputs (cs, hs, x) are None.')

        def fill(v, size):
            return self.xp.zeros((given.shape[0], size), given.dtype) if v is None else v

        states = [fill(v, self.state_size) for v in states]
        n = len(states) // 2
        return states[:n], states[n:], fill(x, self.in_size)


class ChildSumTreeLSTM(TreeLSTMBase):
    """LSTM over trees whose nodes have any number of children: their outputs are summed.

    Args:
        in_size: Size of the input.
        out_size: Size of the output.

    Attributes:
        W_x: Linear link of the input.
        W_h_aio: Linear link of the sum of the children's outputs, for cell input, input and output gate.
        W_h_f: Linear link of each child's output, for its forget gate.

    See: Tai et al., Improved Semantic Representations From Tree-Structured LSTMs, https://arxiv.org/abs/1503.00075
    """

    def __init__(self, in_size, out_size):
        super().__init__()
        self.in_size = in_size
        self.state_size = out_size
        with self.init_scope():
            self.W_x = Linear(in_size, 4 * out_size)
            self.W_h_aio = Linear(out_size, 3 * out_size, nobias=True)
            self.W_h_f = Linear(out_size, out_size, nobias=True)

    def forward(self, *cshsx):
        """Computes a node.

        Args:
            cshsx: Cells of the children, then their outputs, (n, out_size) each or None for zeros, then the input,
                (n, in_size) or None.

        Returns:
            Cell and output, (n, out_size) each.
        """
        if len(cshsx) % 2 != 1:
            raise AssertionError(f'ChildSumTreeLSTM takes a cell and an output of each child and x, not {len(cshsx)}')
        cs, hs, x = self._split(cshsx)
        aio, f = split_axis(self.W_x(x), [3 * self.state_size], axis=1)
        if not cs:
            a, i, o = split_axis(aio, 3, axis=1)
            c = sigmoid(i) * tanh(a)
            return c, sigmoid(o) * tanh(c)
        aio = aio + self.W_h_aio(sum(hs[1:], hs[0]))
        return tree_lstm(*cs, concat([aio, *(f + self.W_h_f(h) for h in hs)], axis=1))


class NaryTreeLSTM(TreeLSTMBase):
    """LSTM over trees whose nodes have up to ``n_ary`` children in order, with weights of its own for each place.

    Args:
        in_size: Size of the input.
        out_size: Size of the output.
        n_ary: Number of children.

    Attributes:
        W_x: Linear link of the input.
        W_h1, W_h2, ...: Linear links of the children's outputs.

    See: Tai et al., Improved Semantic Representations From Tree-Structured LSTMs, https://arxiv.org/abs/1503.00075
    """

    def __init__(self, in_size, out_size, n_ary=2):
        if n_ary < 1:
            raise AssertionError(f'NaryTreeLSTM: n_ary must be positive, not {n_ary}')
        super().__init__()
        self.in_size = in_size
        self.state_size = out_size
        self.n_ary = n_ary
        with self.init_scope():
            self.W_x = Linear(in_size, (3 + n_ary) * out_size)
            for i in range(1, n_ary + 1):
                setattr(self, f'W_h{i}', Linear(out_size, (3 + n_ary) * out_size, nobias=True))

    def forward(self, *cshsx):
        """Computes a node.

        Args:
            cshsx: Cells of the children, then their outputs, (n, out_size) each or None for a child that is not there,
                then the input, (n, in_size) or None.

        Returns:
            Cell and output, (n, out_size) each.
        """
        if len(cshsx) != 2 * self.n_ary + 1:
            raise AssertionError(f'NaryTreeLSTM takes {2 * self.n_ary + 1} arguments, not {len(cshsx)}')
        cs, hs, x = self._split(cshsx)
        y = self.W_x(x)
        for i, h in enumerate(hs, 1):
            if cshsx[self.n_ary + i - 1] is not None:  # the weights of a child that is not there learn nothing
                y = y + self[f'W_h{i}'](h)
        return tree_lstm(*cs, y)
