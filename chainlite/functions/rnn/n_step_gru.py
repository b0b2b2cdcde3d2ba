"""Gated recurrent units over whole sequences."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import sigmoid, tanh
from chainlite.functions.array.concat import concat
from chainlite.functions.connection.linear import linear
from chainlite.functions.rnn._layers import run_layers
from chainlite.functions.rnn._recurrence import Recurrence
from chainlite.utils import argument


@elementwise(outputs='h sr sz tn')
def NStepGRUCell(rx, zx, nx, rh, zh, nh, h_prev):
    """The new output; and the gates."""
    r, z = sigmoid(rx + rh), sigmoid(zx + zh)
    n = tanh(nx + r * nh)
    return n + z * (h_prev - n), r, z, n


def _layer(x, states, ws, bs, sizes, backwards):
    x = linear(x, concat(ws[:3], axis=0), concat(bs[:3], axis=0))
    node = Recurrence(NStepGRUCell, sizes, backwards, n_gates=3, states=1, reads=(0,), apart=True)
    return node.apply((x, concat(ws[3:], axis=0), concat(bs[3:], axis=0), *states))


def n_step_gru_base(n_layers, dropout_ratio, hx, ws, bs, xs, use_bi_direction, **kwargs):
    """`n_step_gru`, or with `use_bi_direction` `n_step_bigru`."""
    argument.parse_kwargs(kwargs, **argument.removed('train', 'use_cudnn'))
    (hy,), ys = run_layers(_layer, n_layers, dropout_ratio, [hx], ws, bs, xs, 1 + bool(use_bi_direction))
    return hy, ys


def n_step_gru(n_layers, dropout_ratio, hx, ws, bs, xs, **kwargs):
    """Layers of gated recurrent units over sequences of different lengths.

    r = sigmoid(W0 x + W3 h + b0 + b3), z = sigmoid(W1 x + W4 h + b1 + b4), n = tanh(W2 x + b2 + r (W5 h + b5));
    h = (1 - z) n + z h.

    Args:
        n_layers: int.
        dropout_ratio: float; in training mode this share of the inputs of each layer but the first is dropped.
        hx: float array (n_layers, b, n), the output before the first step.
        ws: list of a list of the 6 weights for each layer; W0, W1, W2 are (n, size of the layer's input), the others
            (n, n).
        bs: list of a list of the 6 biases (n) for each layer.
        xs: list of float arrays, the time steps: (b_t, size of the input) with b = b_0 >= b_1 >= ... . Row k is of the
            k-th longest sequence: see `transpose_sequence`.

    Returns:
        hy like hx, after the last step of each sequence; and the tuple of the outputs, (b_t, n).
    """
    return n_step_gru_base(n_layers, dropout_ratio, hx, ws, bs, xs, False, **kwargs)


def n_step_bigru(n_layers, dropout_ratio, hx, ws, bs, xs, **kwargs):
    """Layers of gated recurrent units over sequences of different lengths, forwards and backwards in time.

    Arguments and result are those of `n_step_gru`, but in hx, ws, bs and hy each layer has two entries, forwards and
    backwards, and the outputs are both directions' side by side, (b_t, 2 n); they are the input of the next layer.
    """
    return n_step_gru_base(n_layers, dropout_ratio, hx, ws, bs, xs, True, **kwargs)
