from chainlite.functions.activation.sigmoid import sigmoid
from chainlite.functions.activation.tanh import tanh
from chainlite.functions.array.concat import concat
from chainlite.functions.math.linear_interpolate import linear_interpolate
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear
from chainlite.links.rnn._state import StatefulLink


class MGUBase(Chain):
    """The weights of a minimal gated unit, which has one gate.

    Args:
        n_inputs: Size of the input.
        n_units: Size of the output.

    Attributes:
        W_f, W_h: Linear links of the last output and the input, for the gate and the candidate.

    See: Zhou et al., Minimal Gated Unit for Recurrent Neural Networks, https://arxiv.org/abs/1603.09420
    """

    def __init__(self, n_inputs, n_units):
        super().__init__()
        with self.init_scope():
            self.W_f = Linear(n_inputs + n_units, n_units)
            self.W_h = Linear(n_inputs + n_units, n_units)

    def _call_mgu(self, h, x):
        f = sigmoid(self.W_f(concat([h, x])))
        candidate = tanh(self.W_h(concat([f * h, x])))
        return linear_interpolate(f, candidate, h)


class StatelessMGU(MGUBase):
    """Minimal gated unit without memory: the state comes and goes through the call."""

    def forward(self, h, x):
        """Takes one step from ``h``, (n, n_units), with ``x``, (n, n_inputs), and returns the new ``h``."""
        return self._call_mgu(h, x)


class StatefulMGU(StatefulLink, MGUBase):
    """Minimal gated unit that keeps its state from call to call, until :meth:`reset_state`.

    Args:
        in_size: Size of the input.
        out_size: Size of the output.

    Attributes:
        h: Last output, None at first.
    """

    _state_names = ('h',)

    def __init__(self, in_size, out_size):
        super().__init__(in_size, out_size)
        self._state_size = out_size
        self.reset_state()

    def set_state(self, h):
        """Sets the state, a Variable (n, out_size)."""
        self._set_state(h)

    def forward(self, x):
        """Takes one step with ``x``, (n, in_size), and returns the output, (n, out_size)."""
        h = self._zeros(x, self._state_size) if self.h is None else self.h
        self.h = self._call_mgu(h, x)
        return self.h
