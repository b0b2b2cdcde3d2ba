from chainlite.functions.rnn import n_step_gru as functions
from chainlite.links.rnn.n_step_rnn import NStepRNNBase


class NStepGRUBase(NStepRNNBase):
    """What both directions' classes share; the arguments are those of :class:`NStepRNNBase`."""

    n_weights, n_cells = 6, 1


class NStepGRU(NStepGRUBase):
    """Gated recurrent units of some layers over whole sequences.

    The weights of each layer are those of reset gate, update gate and candidate on the input, then on the last output.
    """

    def rnn(self, *args):
        return functions.n_step_gru(*args)


class NStepBiGRU(NStepGRUBase):
    """Bidirectional gated recurrent units of some layers over whole sequences."""

    use_bi_direction = True

    def rnn(self, *args):
        return functions.n_step_bigru(*args)
