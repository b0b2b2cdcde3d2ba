from chainlite.functions.activation.sigmoid import sigmoid
from chainlite.functions.activation.tanh import tanh
from chainlite.functions.math.linear_interpolate import linear_interpolate
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear
from chainlite.links.rnn._state import StatefulLink


class GRUBase(Chain):
    """The weights of a gated recurrent unit.

    Args:
        in_size: Size of the input; None takes it from the first input.
        out_size: Size of the output.
        init: Initializer of the weights on the input, LeCunNormal by default.
        inner_init: Initializer of the weights on the last output, LeCunNormal by default.
        bias_init: Initializer of the biases, 0 by default.

    Attributes:
        W_r, W_z, W: Linear links of the input, for reset gate, update gate and candidate.
        U_r, U_z, U: Linear links of the last output.

    See: Cho et al., On the Properties of Neural Machine Translation, https://arxiv.org/abs/1409.1259
    """

    def __init__(self, in_size, out_size, init=None, inner_init=None, bias_init=None):
        super().__init__()
        self.state_size = out_size
        with self.init_scope():
            for gate in ('_r', '_z', ''):
                setattr(self, 'W' + gate, Linear(in_size, out_size, initialW=init, initial_bias=bias_init))
                setattr(self, 'U' + gate, Linear(out_size, out_size, initialW=inner_init, initial_bias=bias_init))


class StatelessGRU(GRUBase):
    """Gated recurrent unit without memory: the state comes and goes through the call."""

    def forward(self, h, x):
        """Takes one step from ``h``, (n, out_size), with ``x``, (n, in_size), and returns the new ``h``."""
        r = sigmoid(self.W_r(x) + self.U_r(h))
        z = sigmoid(self.W_z(x) + self.U_z(h))
        candidate = tanh(self.W(x) + self.U(r * h))
        return linear_interpolate(z, candidate, h)


class StatefulGRU(StatefulLink, GRUBase):
    """Gated recurrent unit that keeps its state from call to call, until :meth:`reset_state`.

    Attributes:
        h: Last output, None at first.
    """

    _state_names = ('h',)

    def __init__(self, in_size, out_size, init=None, inner_init=None, bias_init=0):
        super().__init__(in_size, out_size, init, inner_init, bias_init)
        self.reset_state()

    def set_state(self, h):
        """Sets the state, a Variable (n, out_size)."""
        self._set_state(h)

    def forward(self, x):
        """Takes one step with ``x``, (n, in_size), and returns the output, (n, out_size)."""
        z, candidate = self.W_z(x), self.W(x)
        if self.h is None:  # as if it were zero
            self.h = sigmoid(z) * tanh(candidate)
        else:
            r = sigmoid(self.W_r(x) + self.U_r(self.h))
            z = sigmoid(z + self.U_z(self.h))
            self.h = linear_interpolate(z, tanh(candidate + self.U(r * self.h)), self.h)
        return self.h


class GRU(StatefulGRU):
    """Alias of :class:`StatefulGRU`."""

    def forward(self, *args):
        """Takes one step; see :class:`StatefulGRU`."""
        if len(args) != 1:
            raise ValueError(
                f'Invalid argument. The length of GRU.forward must be 1. But {len(args)} is given. In Chainer v2, '
                'chainer.links.GRU is changed from stateless to stateful. One possibility is you assume GRU to be '
                'stateless. Use chainer.links.StatelessGRU instead.'
            )
        return super().forward(args[0])
