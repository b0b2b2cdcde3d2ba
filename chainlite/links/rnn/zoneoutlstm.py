from chainlite.functions.activation.sigmoid import sigmoid
from chainlite.functions.activation.tanh import tanh
from chainlite.functions.noise.zoneout import zoneout
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear
from chainlite.links.rnn._gates import split_gates
from chainlite.links.rnn._state import StatefulLink
from chainlite.utils.argument import parse_kwargs, removed


class StatefulZoneoutLSTM(StatefulLink, Chain):
    """LSTM with zoneout: in training mode, random units keep their state. It remembers until :meth:`reset_state`.

    Args:
        in_size: Size of the input.
        out_size: Size of the output.
        c_ratio: Share of the cells that keep their state.
        h_ratio: Share of the outputs that keep their state.

    Attributes:
        upward, lateral: Linear links of the input and of the last output.
        c: Cell state, None at first.
        h: Last output, None at first.

    See: Krueger et al., Zoneout, https://arxiv.org/abs/1606.01305
    """

    _state_names = ('c', 'h')

    def __init__(self, in_size, out_size, c_ratio=0.5, h_ratio=0.5, **kwargs):
        parse_kwargs(kwargs, **removed('train'))
        super().__init__()
        self.state_size = out_size
        self.c_ratio = c_ratio
        self.h_ratio = h_ratio
        with self.init_scope():
            self.upward = Linear(in_size, 4 * out_size)
            self.lateral = Linear(out_size, 4 * out_size, nobias=True)
        self.reset_state()

    def set_state(self, c, h):
        """Sets the state, two Variables (n, out_size)."""
        self._set_state(c, h)

    def forward(self, x):
        """Takes one step with ``x``, (n, in_size), and returns the output, (n, out_size)."""
        lstm_in = self.upward(x)
        if self.h is None:
            self.h = self._zeros(x, self.state_size)
        else:
            lstm_in = lstm_in + self.lateral(self.h)
        c = self._zeros(x, self.state_size) if self.c is None else self.c
        a, i, f, o = split_gates(lstm_in)
        new_c = sigmoid(i) * tanh(a) + sigmoid(f) * c
        self.c = zoneout(c, new_c, self.c_ratio)
        self.h = zoneout(self.h, sigmoid(o) * tanh(new_c), self.h_ratio)
        return self.h
