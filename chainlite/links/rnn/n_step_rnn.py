from math import sqrt

import numpy

from chainlite.functions.array.permutate import permutate
from chainlite.functions.array.transpose_sequence import transpose_sequence
from chainlite.functions.rnn import n_step_rnn as functions
from chainlite.initializers import Normal, _get_initializer
from chainlite.link import ChainList, Link
from chainlite.utils.argument import parse_kwargs, removed
from chainlite.variable import Parameter, Variable


def argsort_list_descent(lst):
    """Returns the positions of sequences from the longest to the shortest, int32."""
    return numpy.argsort([-len(x) for x in lst], kind='stable').astype(numpy.int32)


def permutate_list(lst, indices, inv):
    """Returns ``[lst[i] for i in indices]``, or with ``inv`` the list that this made ``lst``."""
    if not inv:
        return [lst[i] for i in indices]
    result = [None] * len(lst)
    for i, x in zip(indices, lst):
        result[i] = x
    return result


class NStepRNNBase(ChainList):
    """Recurrent network of some layers over whole sequences.

    Args:
        n_layers: Number of layers.
        in_size: Size of the inputs.
        out_size: Size of the outputs of one direction.
        dropout: Share of units that are dropped between layers.
        initialW: Initializer of the weights, Normal(sqrt(1 / input size)) by default.
        initial_bias: Initializer of the biases, 0 by default.

    Attributes:
        ws, bs: Weights and biases, a list for each layer and direction; the children hold them as ``w0``, ``b0``, ...
    """

    n_weights = None
    use_bi_direction = False

    def __init__(self, n_layers, in_size, out_size, dropout, *, initialW=None, initial_bias=None, **kwargs):
        parse_kwargs(kwargs, **removed('use_cudnn'))
        direction = 2 if self.use_bi_direction else 1
        layers = []
        for i in range(n_layers):
            size = in_size if i == 0 else out_size * direction
            layers += [self._make_layer(size, out_size, initialW, initial_bias) for _ in range(direction)]
        super().__init__(*layers)
        self.n_layers = n_layers
        self.dropout = dropout
        self.out_size = out_size
        self.direction = direction

    def _make_layer(self, in_size, out_size, initialW, initial_bias):
        layer = Link()
        with layer.init_scope():
            for j in range(self.n_weights):  # half for the input, half for the last output
                size = in_size if j < self.n_weights // 2 else out_size
                W = Normal(sqrt(1 / size)) if initialW is None else _get_initializer(initialW)
                setattr(layer, f'w{j}', Parameter(W, (out_size, size)))
                setattr(layer, f'b{j}', Parameter(_get_initializer(initial_bias, 0), (out_size,)))
        return layer

    @property
    def ws(self):
        return [[getattr(layer, f'w{j}') for j in range(self.n_weights)] for layer in self]

    @property
    def bs(self):
        return [[getattr(layer, f'b{j}') for j in range(self.n_weights)] for layer in self]

    def init_hx(self, xs):
        """Returns a Variable of zeros, the state before ``xs``."""
        shape = self.n_layers * self.direction, len(xs), self.out_size
        return Variable(self.xp.zeros(shape, xs[0].dtype))

    @property
    def n_cells(self):
        """Number of states: of each layer, 1 output, and with an LSTM a cell as well."""
        raise NotImplementedError

    def rnn(self, *args):
        """Runs the function on sequences sorted by length and transposed."""
        raise NotImplementedError

    def forward(self, hx, xs, **kwargs):
        """Runs over sequences.

        Args:
            hx: State before them, (n_layers * directions, n, out_size), or None for zeros.
            xs: List of n sequences, (length, in_size) each.

        Returns:
            The state after them, and the list of outputs, (length, out_size * directions) each.
        """
        (hy,), ys = self._run([hx], xs, **kwargs)
        return hy, ys

    def _run(self, states, xs, **kwargs):
        parse_kwargs(kwargs, **removed('train'))
        if not isinstance(xs, (list, tuple)):
            raise AssertionError(f'{type(self).__name__}: xs must be a list of sequences, not {type(xs)}')
        indices = argsort_list_descent(xs)
        xs = permutate_list(xs, indices, inv=False)
        in_order = (indices == numpy.arange(len(xs))).all()

        def order(state, inv):
            return state if in_order else permutate(state, self.device.send(indices), axis=1, inv=inv)

        states = [self.init_hx(xs) if state is None else order(state, False) for state in states]
        *states, ys = self.rnn(self.n_layers, self.dropout, *states, self.ws, self.bs, transpose_sequence(xs))
        return [order(state, True) for state in states], permutate_list(transpose_sequence(ys), indices, inv=True)


class _NStepRNN(NStepRNNBase):
    n_weights, n_cells = 2, 1


class NStepRNNTanh(_NStepRNN):
    """Recurrent network with tanh over whole sequences. The arguments are those of the base."""

    def rnn(self, *args):
        return functions.n_step_rnn(*args, activation='tanh')


class NStepRNNReLU(_NStepRNN):
    """Recurrent network with ReLU over whole sequences. The arguments are those of the base."""

    def rnn(self, *args):
        return functions.n_step_rnn(*args, activation='relu')


class NStepBiRNNTanh(_NStepRNN):
    """Bidirectional recurrent network with tanh over whole sequences. The arguments are those of the base."""

    use_bi_direction = True

    def rnn(self, *args):
        return functions.n_step_birnn(*args, activation='tanh')


class NStepBiRNNReLU(_NStepRNN):
    """Bidirectional recurrent network with ReLU over whole sequences. The arguments are those of the base."""

    use_bi_direction = True

    def rnn(self, *args):
        return functions.n_step_birnn(*args, activation='relu')
