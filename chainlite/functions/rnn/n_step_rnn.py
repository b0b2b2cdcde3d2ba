"""Simple recurrent layers over whole sequences."""

import functools

from chainlite._elementwise import elementwise
from chainlite.backends._equations import maximum, tanh, where
from chainlite.functions.connection.linear import linear
from chainlite.functions.rnn._layers import check_input_size, run_layers
from chainlite.functions.rnn._recurrence import Recurrence
from chainlite.utils import argument


@elementwise(outputs='h')
def NStepRNNTanhCell(a):
    """The new output."""
    return tanh(a)


@elementwise(outputs='h')
def NStepRNNReLUCell(a):
    """The new output."""
    return maximum(a, 0)


@NStepRNNReLUCell.gradient
def _(h, gh):
    return where(h > 0, gh, 0)


_CELLS = {'tanh': NStepRNNTanhCell, 'relu': NStepRNNReLUCell}


def _layer(cell, x, states, ws, bs, sizes, backwards):
    check_input_size(x, ws[0])
    x = linear(x, ws[0], bs[0] + bs[1])
    return Recurrence(cell, sizes, backwards, n_gates=1, states=1, reads=(), apart=False).apply((x, ws[1], *states))


def n_step_rnn_base(n_layers, dropout_ratio, hx, ws, bs, xs, activation, use_bi_direction, **kwargs):
    """`n_step_rnn`, or with `use_bi_direction` `n_step_birnn`."""
    argument.parse_kwargs(kwargs, **argument.removed('train', 'use_cudnn'))
    if activation not in _CELLS:
        raise ValueError(f'Invalid activation: "{activation}". Please select from [{",".join(_CELLS)}]')
    layer = functools.partial(_layer, _CELLS[activation])
    (hy,), ys = run_layers(layer, n_layers, dropout_ratio, [hx], ws, bs, xs, 1 + bool(use_bi_direction))
    return hy, ys


def n_step_rnn(n_layers, dropout_ratio, hx, ws, bs, xs, activation='tanh', **kwargs):
    """Recurrent layers over sequences of different lengths: h = activation(W0 x + W1 h + b0 + b1).

    Args:
        n_layers: int.
        dropout_ratio: float; in training mode this share of the inputs of each layer but the first is dropped.
        hx: float array (n_layers, b, n), the output before the first step.
        ws: list of a list of the 2 weights for each layer: W0 (n, size of the layer's input) and W1 (n, n).
        bs: list of a list of the 2 biases (n) for each layer.
        xs: list of float arrays, the time steps: (b_t, size of the input) with b = b_0 >= b_1 >= ... . Row k is of the
            k-th longest sequence: see `transpose_sequence`.
        activation: 'tanh' or 'relu'.

    Returns:
        hy like hx, after the last step of each sequence; and the tuple of the outputs, (b_t, n).
    """
    return n_step_rnn_base(n_layers, dropout_ratio, hx, ws, bs, xs, activation, False, **kwargs)


def n_step_birnn(n_layers, dropout_ratio, hx, ws, bs, xs, activation='tanh', **kwargs):
    """Recurrent layers over sequences of different lengths, forwards and backwards in time.

    Arguments and result are those of `n_step_rnn`, but in hx, ws, bs and hy each layer has two entries, forwards and
    backwards, and the outputs are both directions' side by side, (b_t, 2 n); they are the input of the next layer.
    """
    return n_step_rnn_base(n_layers, dropout_ratio, hx, ws, bs, xs, activation, True, **kwargs)
