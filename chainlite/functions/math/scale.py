"""Multiplication along given axes."""

from chainlite.functions.math.bias import aligned


def scale(x, y, axis=1):
    """x * y, where the axes of `y` stand at `axis` of `x` and after.

    Args:
        x: array.
        y: array of the shape of some axes in a row of `x`.
        axis: int, the first of them.
    """
    return x * aligned(x, y, axis)
