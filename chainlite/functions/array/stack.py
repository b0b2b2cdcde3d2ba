"""Arrays along a new axis."""

from chainlite.functions.array.concat import concat
from chainlite.functions.array.expand_dims import expand_dims
from chainlite.utils.type_check import InvalidType
from chainlite.variable import as_variable


def stack(xs, axis=0):
    """Joins arrays of one shape along a new axis.

    Args:
        xs: sequence of arrays.
        axis: int, where the new axis stands in the result.
    """
    xs = [as_variable(x) for x in xs]
    if not xs:
        raise InvalidType('in_types.size > 0', '0 <= 0', function='Stack')
    for i, x in enumerate(xs):
        for what in ('dtype', 'shape'):
            own, first = getattr(x, what), getattr(xs[0], what)
            if own != first:
                raise InvalidType(f'in_types[{i}].{what} == in_types[0].{what}', f'{own} != {first}', function='Stack')
    return concat([expand_dims(x, axis) for x in xs], axis)
