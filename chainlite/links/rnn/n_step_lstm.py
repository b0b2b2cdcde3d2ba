from chainlite.functions.rnn import n_step_lstm as functions
from chainlite.links.rnn.n_step_rnn import NStepRNNBase


class NStepLSTMBase(NStepRNNBase):
    """What both directions' classes share; the arguments are those of :class:`NStepRNNBase`."""

    n_weights, n_cells = 8, 2

    def forward(self, hx, cx, xs, **kwargs):
        """Runs over sequences.

        Args:
            hx: Output before them, (n_layers * directions, n, out_size), or None for zeros.
            cx: Cell before them, likewise.
            xs: List of n sequences, (length, in_size) each.

        Returns:
            Output and cell after them, and the list of outputs, (length, out_size * directions) each.
        """
        (hy, cy), ys = self._run([hx, cx], xs, **kwargs)
        return hy, cy, ys


class NStepLSTM(NStepLSTMBase):
    """LSTM of some layers over whole sequences.

    The weights of each layer are those of input gate, forget gate, cell input and output gate on the input, then on the
    last output.
    """

    def rnn(self, *args):
        return functions.n_step_lstm(*args)


class NStepBiLSTM(NStepLSTMBase):
    """Bidirectional LSTM of some layers over whole sequences."""

    use_bi_direction = True

    def rnn(self, *args):
        return functions.n_step_bilstm(*args)
