"""Arrays along a new axis."""

from chainlite.functions.array.concat import concat
from chainlite.functions.array.expand_dims import expand_dims
from chainlite.variable import as_variable


def stack(xs, axis=0):
    """Joins arrays of one shape along a new axis.

    Args:
        xs: sequence of arrays.
        axis: int, where the new axis stands in the result.
    """
    xs = [expand_dims(as_variable(x), axis) for x in xs]
    return concat(xs, axis)
