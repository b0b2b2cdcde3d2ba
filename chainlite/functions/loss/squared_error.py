"""Elementwise squared error."""

from chainlite._elementwise import elementwise


@elementwise(check='x0: f (*s), x1: =x0 (*s)')
def SquaredError(x0, x1):
    return (x0 - x1) * (x0 - x1)


def squared_error(x0, x1):
    """(x0 - x1) ** 2, elementwise.

    Args:
        x0, x1: float arrays of one shape and dtype.
    """
    return SquaredError().apply((x0, x1))[0]


def squared_difference(x1, x2):
    """(x1 - x2) ** 2, elementwise: `squared_error` by another name."""
    return squared_error(x1, x2)
