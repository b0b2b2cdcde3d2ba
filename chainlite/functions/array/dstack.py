"""Arrays one behind the other."""

from chainlite.functions.array._stacking import Stacking


class Dstack(Stacking):
    axis, axis_1d = 2, 2

    @staticmethod
    def raised(shape):
        return shape if len(shape) > 2 else ((1,) * (2 - len(shape)) + shape + (1,))


def dstack(xs):
    """Joins arrays along the third axis; (n,) becomes (1, n, 1) and (m, n) becomes (m, n, 1).

    Args:
        xs: sequence of arrays that agree in dtype and in every other axis.
    """
    return Dstack().apply(xs)[0]
