"""Mean absolute error."""

from chainlite.functions.loss.absolute_error import absolute_error
from chainlite.functions.math.average import average


def mean_absolute_error(x0, x1):
    """Mean of |x0 - x1| over all elements.

    Args:
        x0, x1: float arrays of one shape and dtype.
    """
    return average(absolute_error(x0, x1))
