from chainlite.functions.activation.sigmoid import sigmoid
from chainlite.functions.activation.tanh import tanh
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear
from chainlite.links.rnn._gates import split_gates
from chainlite.links.rnn._state import StatefulLink


class StatefulPeepholeLSTM(StatefulLink, Chain):
    """LSTM whose gates see the cell, and which keeps its state from call to call, until :meth:`reset_state`.

    Args:
        in_size: Size of the input.
        out_size: Size of the output.

    Attributes:
        upward, lateral: Linear links of the input and of the last output.
        peep_i, peep_f, peep_o: Linear links of the cell.
        c: Cell state, None at first.
        h: Last output, None at first.

    See: Gers et al., Learning Precise Timing with LSTM Recurrent Networks, JMLR 3, 2002
    """

    _state_names = ('c', 'h')

    def __init__(self, in_size, out_size):
        super().__init__()
        self.state_size = out_size
        with self.init_scope():
            self.upward = Linear(in_size, 4 * out_size)
            self.lateral = Linear(out_size, 4 * out_size, nobias=True)
            self.peep_i = Linear(out_size, out_size, nobias=True)
            self.peep_f = Linear(out_size, out_size, nobias=True)
            self.peep_o = Linear(out_size, out_size, nobias=True)
        self.reset_state()

    def forward(self, x):
        """Takes one step with ``x``, (n, in_size), and returns the output, (n, out_size)."""
        lstm_in = self.upward(x)
        if self.h is not None:
            lstm_in = lstm_in + self.lateral(self.h)
        c = self._zeros(x, self.state_size) if self.c is None else self.c
        a, i, f, o = split_gates(lstm_in)
        self.c = sigmoid(i + self.peep_i(c)) * tanh(a) + sigmoid(f + self.peep_f(c)) * c
        self.h = sigmoid(o + self.peep_o(self.c)) * tanh(self.c)
        return self.h
