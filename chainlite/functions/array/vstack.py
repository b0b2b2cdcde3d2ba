"""Arrays one below the other."""

from chainlite.functions.array._stacking import Stacking


class Vstack(Stacking):
    axis, axis_1d = 0, 0

    @staticmethod
    def raised(shape):
        return shape if len(shape) > 1 else (1, *(shape or (1,)))


def vstack(xs):
    """Joins arrays along the first axis; 1-D arrays become rows.

    Args:
        xs: sequence of arrays that agree in dtype and in every other axis.
    """
    return Vstack().apply(xs)[0]
