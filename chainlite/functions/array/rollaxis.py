"""An axis moved back to a place."""

from chainlite._adjoint import adjoint_pair
from chainlite.functions.array._axes import check_axis, check_int
from chainlite.functions.array.transpose import _transpose, _transpose_back
from chainlite.utils.type_check import InvalidType
from chainlite.variable import as_variable

Rollaxis, RollaxisGrad = adjoint_pair('Rollaxis', _transpose, 'RollaxisGrad', _transpose_back, __name__)


def rollaxis(x, axis, start=0):
    """Moves an axis to stand before another; the others keep their order.

    Args:
        x: array.
        axis: int, the axis to move.
        start: int, the axis that it is put before; `x.ndim` puts it last.
    """
    check_int(axis, 'axis')
    check_int(start, 'start')
    x = as_variable(x)
    check_axis('Rollaxis', axis, x.ndim)
    if start > x.ndim:
        raise InvalidType(f'x.ndim >= {start}', f'{x.ndim} < {start}', function='Rollaxis')
    if start != x.ndim:
        check_axis('Rollaxis', start, x.ndim)
    axis, start = axis % x.ndim, start + x.ndim if start < 0 else start
    axes = [a for a in range(x.ndim) if a != axis]
    axes.insert(start - (axis < start), axis)
    return Rollaxis(x.shape, tuple(axes)).apply((x,))[0]
