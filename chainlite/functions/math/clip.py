"""Values limited to an interval."""

from chainlite._elementwise import elementwise
from chainlite.backends._equations import maximum, minimum, where


@elementwise
def Clip(x, *, x_min, x_max):
    return minimum(maximum(x, x_min), x_max)


@Clip.gradient
def _(x, gy, *, x_min, x_max):
    return where((x >= x_min) & (x <= x_max), gy, 0)


def clip(x, x_min, x_max):
    """Limits values to an interval.

    Args:
        x: float array of any shape.
        x_min, x_max: floats, or None for no limit.

    Raises:
        ValueError: both limits are None, or x_min is not less than x_max.
    """
    if x_min is None and x_max is None:
        raise ValueError('must set either max or min')
    x_min = -float('inf') if x_min is None else x_min
    x_max = float('inf') if x_max is None else x_max
    if not x_min < x_max:
        raise ValueError('x_min must be less than x_max.')
    return Clip(x_min=x_min, x_max=x_max).apply((x,))[0]
