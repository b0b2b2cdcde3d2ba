from math import prod

from chainlite.functions.array.concat import concat
from chainlite.functions.array.split_axis import split_axis
from chainlite.functions.rnn.lstm import lstm
from chainlite.initializers import _get_initializer
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear
from chainlite.links.rnn._state import StatefulLink


class LSTMBase(Chain):
    """The weights of an LSTM.

    Args:
        in_size: Size of the input; None (or leaving it out: ``LSTM(10)``) takes it from the first input.
        out_size: Size of the output.
        lateral_init: Initializer of the weight of each gate on the last output, LeCunNormal by default.
        upward_init: Initializer of the weight of each gate on the input, LeCunNormal by default.
        bias_init: Initializer of the biases of cell input, input gate and output gate, 0 by default.
        forget_bias_init: Initializer of the bias of the forget gate, 1 by default.

    Attributes:
        upward: Linear link of the input; the rows of its weight take turns in cell input, input, forget, output gate.
        lateral: Linear link of the last output.
    """

    def __init__(
        self, in_size, out_size=None, lateral_init=None, upward_init=None, bias_init=None, forget_bias_init=None
    ):
        super().__init__()
        if out_size is None:
            in_size, out_size = None, in_size
        self.state_size = out_size
        self.lateral_init = lateral_init
        self.upward_init = upward_init
        self.bias_init = 0 if bias_init is None else bias_init
        self.forget_bias_init = 1 if forget_bias_init is None else forget_bias_init
        with self.init_scope():
            self.upward = Linear(in_size, 4 * out_size, initialW=0)
            self.lateral = Linear(out_size, 4 * out_size, nobias=True, initialW=0)
        if in_size is not None:
            self._initialize_params()

    def _initialize_params(self):
        n = self.state_size
        lateral, upward = _get_initializer(self.lateral_init), _get_initializer(self.upward_init)
        for i in range(0, 4 * n, n):
            lateral(self.lateral.W.array[i : i + n])
            upward(self.upward.W.array[i : i + n])
        biases = self.upward.b.array.reshape(n, 4)
        bias_inits = self.bias_init, self.bias_init, self.forget_bias_init, self.bias_init
        for gate, initializer in enumerate(bias_inits):
            _get_initializer(initializer)(biases[:, gate])

    def _prepare(self, x):
        if self.upward.W.array is None:
            self.upward._initialize_params(prod(x.shape[1:]))
            self._initialize_params()


class StatelessLSTM(LSTMBase):
    """LSTM without memory: the state comes and goes through the call. The arguments are those of the base."""

    def forward(self, c, h, x):
        """Takes one step.

        Args:
            c: Cell state, (n, out_size), or None for zeros.
            h: Last output, (n, out_size), or None for zeros.
            x: Input, (n, in_size).

        Returns:
            The new ``c`` and ``h``.
        """
        self._prepare(x)
        lstm_in = self.upward(x)
        if h is not None:
            lstm_in = lstm_in + self.lateral(h)
        if c is None:
            c = self.xp.zeros((len(x), self.state_size), x.dtype)
        return lstm(c, lstm_in)


class LSTM(StatefulLink, LSTMBase):
    """LSTM that keeps its state from call to call, until :meth:`reset_state`. The arguments are those of the base.

    Attributes:
        c: Cell state, None at first.
        h: Last output, None at first.
    """

    _state_names = ('c', 'h')

    def __init__(
        self, in_size, out_size=None, lateral_init=None, upward_init=None, bias_init=None, forget_bias_init=None
    ):
        super().__init__(in_size, out_size, lateral_init, upward_init, bias_init, forget_bias_init)
        self.reset_state()

    def set_state(self, c, h):
        """Sets the state, two Variables (n, out_size)."""
        self._set_state(c, h)

    def forward(self, x):
        """Takes one step with ``x``, (n, in_size), and returns the output, (n, out_size).

        The batch may get smaller from step to step: rows beyond it keep their state.
        """
        self._prepare(x)
        n = x.shape[0]
        lstm_in = self.upward(x)
        rest = None
        if self.h is not None:
            h = self.h
            if n > len(h):
                raise TypeError('The batch size of x must be equal to or less than the size of the previous state h.')
            if n < len(h):
                h, rest = split_axis(h, [n], axis=0)
            if n > 0:
                lstm_in = lstm_in + self.lateral(h)
        if self.c is None:
            self.c = self._zeros(x, self.state_size)
        self.c, y = lstm(self.c, lstm_in)
        self.h = y if rest is None else concat([y, rest], axis=0)
        return y
