"""Huber loss."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import maximum, minimum, where
from chainlite.functions.math.sum import sum


@elementwise(check='x: f (*s), t: =x (*s)')
def HuberLoss(x, t, *, delta):
    a = abs(x - t)
    return where(a > delta, delta * (a - 0.5 * delta), 0.5 * a * a)


@HuberLoss.gradient
def _(x, t, gy, *, delta):
    g = gy * maximum(minimum(x - t, delta), -delta)
    return g, -g


def huber_loss(x, t, delta, reduce='sum_along_second_axis'):
    """Quadratic in x - t up to `delta`, linear beyond.

    Args:
        x, t: float arrays of one shape and dtype.
        delta: float.
        reduce: 'sum_along_second_axis', or 'no' for an array of the shape of `x`.

    See: https://en.wikipedia.org/wiki/Huber_loss
    """
    if reduce not in ('sum_along_second_axis', 'no'):
        raise ValueError(f"Only 'sum_along_second_axis' and 'no' are valid for 'reduce', but '{reduce}' is given")
    y = HuberLoss(delta=delta).apply((x, t))[0]
    return y if reduce == 'no' else sum(y, 1)
