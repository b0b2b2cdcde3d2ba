"""Addition along given axes."""

from chainlite.configuration import config
from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.array.reshape import reshape
from chainlite.variable import as_variable


def aligned(x, y, axis):
    """`y` broadcast to the shape of `x`, its first axis standing at `axis` of `x`."""
    x, y = as_variable(x), as_variable(y)
    assert not config.debug or x.shape[axis : axis + y.ndim] == y.shape, 'the axes of y must be some of x'
    return broadcast_to(reshape(y, y.shape + (1,) * (x.ndim - axis - y.ndim)), x.shape)


def bias(x, y, axis=1):
    """x + y, where the axes of `y` stand at `axis` of `x` and after.

    Args:
        x: array.
        y: array of the shape of some axes in a row of `x`.
        axis: int, the first of them.
    """
    return x + aligned(x, y, axis)
