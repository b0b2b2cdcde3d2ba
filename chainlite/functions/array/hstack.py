"""Arrays side by side."""

from chainlite.functions.array._stacking import Stacking


class Hstack(Stacking):
    axis, axis_1d = 1, 0

    @staticmethod
    def raised(shape):
        return shape or (1,)


def hstack(xs):
    """Joins arrays along the second axis; 1-D arrays along the first.

    Args:
        xs: sequence of arrays that agree in dtype and in every other axis.
    """
    return Hstack().apply(xs)[0]
