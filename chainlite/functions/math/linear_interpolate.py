"""Linear interpolation."""

from chainlite._elementwise import elementwise


@elementwise(check='p: f (*s), x: =p (*s), y: =p (*s)')
def LinearInterpolate(p, x, y):
    return p * x + (1 - p) * y


def linear_interpolate(p, x, y):
    """p * x + (1 - p) * y, elementwise.

    Args:
        p, x, y: float arrays of one shape and dtype.
    """
    return LinearInterpolate().apply((p, x, y))[0]
