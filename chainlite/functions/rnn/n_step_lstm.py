"""Long short-term memory over whole sequences."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import sigmoid, tanh
from chainlite.functions.array.concat import concat
from chainlite.functions.connection.linear import linear
from chainlite.functions.rnn._layers import check_input_size, run_layers
from chainlite.functions.rnn._recurrence import Recurrence
from chainlite.utils import argument


@elementwise(outputs='h c si sf ta so tc')
def NStepLSTMCell(i, f, a, o, c_prev):
    """The new output and cell; and the gates."""
    i, f, a, o = sigmoid(i), sigmoid(f), tanh(a), sigmoid(o)
    c = a * i + f * c_prev
    t = tanh(c)
    return o * t, c, i, f, a, o, t


def _layer(x, states, ws, bs, sizes, backwards):
    check_input_size(x, ws[0])
    x = linear(x, concat(ws[:4], axis=0), concat(bs[:4], axis=0) + concat(bs[4:], axis=0))
    node = Recurrence(NStepLSTMCell, sizes, backwards, n_gates=4, states=2, reads=(1,), apart=False)
    return node.apply((x, concat(ws[4:], axis=0), *states))


def n_step_lstm_base(n_layers, dropout_ratio, hx, cx, ws, bs, xs, use_bi_direction, **kwargs):
    """`n_step_lstm`, or with `use_bi_direction` `n_step_bilstm`."""
    argument.parse_kwargs(kwargs, **argument.removed('train', 'use_cudnn'))
    (hy, cy), ys = run_layers(_layer, n_layers, dropout_ratio, [hx, cx], ws, bs, xs, 1 + bool(use_bi_direction))
    return hy, cy, ys


def n_step_lstm(n_layers, dropout_ratio, hx, cx, ws, bs, xs, **kwargs):
    """Layers of long short-term memory over sequences of different lengths.

    i = sigmoid(W0 x + W4 h + b0 + b4), f = sigmoid(W1 x + W5 h + b1 + b5), a = tanh(W2 x + W6 h + b2 + b6),
    o = sigmoid(W3 x + W7 h + b3 + b7); c = f c + i a, h = o tanh(c).

    Args:
        n_layers: int.
        dropout_ratio: float; in training mode this share of the inputs of each layer but the first is dropped.
        hx, cx: float arrays (n_layers, b, n), output and cell before the first step.
        ws: list of a list of the 8 weights for each layer; W0 ... W3 are (n, size of the layer's input), the others
            (n, n).
        bs: list of a list of the 8 biases (n) for each layer.
        xs: list of float arrays, the time steps: (b_t, size of the input) with b = b_0 >= b_1 >= ... . Row k is of the
            k-th longest sequence: see `transpose_sequence`.

    Returns:
        hy and cy like hx and cx, after the last step of each sequence; and the tuple of the outputs, (b_t, n).
    """
    return n_step_lstm_base(n_layers, dropout_ratio, hx, cx, ws, bs, xs, False, **kwargs)


def n_step_bilstm(n_layers, dropout_ratio, hx, cx, ws, bs, xs, **kwargs):
    """Layers of long short-term memory over sequences of different lengths, forwards and backwards in time.

    Arguments and result are those of `n_step_lstm`, but in hx, cx, ws, bs, hy and cy each layer has two entries,
    forwards and backwards, and the outputs are both directions' side by side, (b_t, 2 n); they are the input of the
    next layer.
    """
    return n_step_lstm_base(n_layers, dropout_ratio, hx, cx, ws, bs, xs, True, **kwargs)
