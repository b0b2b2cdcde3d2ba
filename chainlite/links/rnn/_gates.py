from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.split_axis import split_axis


def split_gates(x):
    """Splits (n, 4 m), whose columns take turns, into cell input, input, forget and output gate, each (n, m)."""
    n, m = len(x), x.shape[1] // 4
    return [reshape(gate, (n, m)) for gate in split_axis(reshape(x, (n, m, 4)), 4, axis=2)]
