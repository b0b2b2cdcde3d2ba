"""All elements in one axis."""

from chainlite.functions.array.reshape import reshape
from chainlite.variable import as_variable


def flatten(x):
    """All elements of `x` in one axis, in row-major order."""
    x = as_variable(x)
    return reshape(x, (x.size,))
