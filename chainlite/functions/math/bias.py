"""Addition along given axes."""

from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.array.reshape import reshape
from chainlite.variable import as_variable


def aligned(x, y, axis):
    """`y` broadcast to the shape of `x`, its first axis standing at `axis` of `x`."""
    x, y = as_variable(x), as_variable(y)
    end = x.ndim if axis < 0 and axis + y.ndim == 0 else axis + y.ndim
    assert x.shape[axis:end] == y.shape, f'the shape of y, {y.shape}, is not that of x, {x.shape}, from axis {axis} on'
    after = x.ndim - y.ndim - axis % max(x.ndim, 1)
    return broadcast_to(reshape(y, (1,) * (x.ndim - y.ndim - after) + y.shape + (1,) * after), x.shape)


def bias(x, y, axis=1):
    """x + y, where the axes of `y` stand at `axis` of `x` and after.

    Args:
        x: array.
        y: array of the shape of some axes in a row of `x`.
        axis: int, the first of them.
    """
    return x + aligned(x, y, axis)
