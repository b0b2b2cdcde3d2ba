"""Recurrent layers over whole sequences.

Sequences are sorted by length, longest first, and cut into time steps, so that a step holds the sequences that have
not ended: its batch gets smaller with time. The input's share of all gates of all steps is one matrix product; what is
left, the recurrence, is one node for each layer and direction.
"""

from itertools import accumulate

from chainlite.functions.array.concat import concat
from chainlite.functions.array.separate import separate
from chainlite.functions.array.split_axis import split_axis
from chainlite.functions.array.stack import stack
from chainlite.functions.noise.dropout import dropout
from chainlite.variable import as_variable


def run_layers(make_layer, n_layers, dropout_ratio, states, ws, bs, xs, directions):
    """Runs layers of recurrences, one or two in each.

    Args:
        make_layer: function of (x, states, ws, bs, sizes, backwards) that gives (outputs of all steps, *last states).
        n_layers: int.
        dropout_ratio: float, the share of a layer's inputs that are dropped, but for the first layer.
        states: list of arrays (n_layers * directions, batch, n).
        ws, bs: lists with a list of weights and of biases for each layer and direction.
        xs: list or tuple of arrays (batch of the step, size).
        directions: 1, or 2: also backwards in time; outputs are joined.

    Returns:
        The last states, (n_layers * directions, batch, n) each, and the tuple of outputs.
    """
    xs = [as_variable(x) for x in xs]
    if not xs:
        return [as_variable(s) for s in states], ()
    n = n_layers * directions
    for name, given in ('ws', ws), ('bs', bs), *(('states', s) for s in states):
        if len(given) < n:
            raise IndexError(f'{n_layers} layers in {directions} directions need {n} {name}, not {len(given)}')
    sizes = [len(x) for x in xs]
    x = concat(xs, axis=0)
    states = [separate(s, axis=0) for s in states]
    last = [[] for _ in states]
    for layer in range(n_layers):
        hs = []
        for direction in range(directions):
            k = layer * directions + direction
            kept = dropout(x, dropout_ratio) if layer else x
            h, *new = make_layer(kept, [s[k] for s in states], ws[k], bs[k], sizes, direction == 1)
            hs.append(h)
            for s, y in zip(last, new):
                s.append(y)
        x = hs[0] if directions == 1 else concat(hs, axis=1)
    return [stack(s) for s in last], split_axis(x, list(accumulate(sizes))[:-1], axis=0)


def check_input_size(x, W):
    """Raises ValueError unless inputs (total, size) fit the weight (n, size)."""
    if x.ndim > 1 and x.shape[1] != W.shape[1]:
        raise ValueError(f'Inconsistent input size in input values and weight parameters: {x.shape[1]} != {W.shape[1]}')
