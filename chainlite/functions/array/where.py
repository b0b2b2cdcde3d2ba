"""Elementwise choice."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq
from chainlite.variable import as_array


@elementwise(check='condition: b, x: *, y: =x')
def Where(condition, x, y):
    return eq.where(condition, x, y)


def where(condition, x, y):
    """Elements of `x` where the condition holds, of `y` elsewhere; the three broadcast.

    Args:
        condition: bool array (a Variable's gradient is None).
        x, y: arrays of one dtype.
    """
    return Where().apply((as_array(condition), x, y))[0]
