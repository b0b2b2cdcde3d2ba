"""Elementwise absolute error."""

from chainlite._elementwise import elementwise


@elementwise(check='x0: f (*s), x1: =x0 (*s)')
def AbsoluteError(x0, x1):
    return abs(x0 - x1)


def absolute_error(x0, x1):
    """|x0 - x1|, elementwise.

    Args:
        x0, x1: float arrays of one shape and dtype.
    """
    return AbsoluteError().apply((x0, x1))[0]
