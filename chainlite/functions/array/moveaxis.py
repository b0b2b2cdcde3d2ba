"""Axes moved to other places."""

from chainlite._adjoint import adjoint_pair
from chainlite.functions.array._axes import check_axis
from chainlite.functions.array.transpose import _transpose, _transpose_back
from chainlite.variable import as_variable

Moveaxis, MoveaxisGrad = adjoint_pair('Moveaxis', _transpose, 'MoveaxisGrad', _transpose_back, __name__)


def moveaxis(x, source, destination):
    """Moves axes; the others keep their order.

    Args:
        x: array.
        source: int or tuple of ints, the axes to move.
        destination: int or tuple of ints, where they stand in the result.
    """
    x = as_variable(x)
    source, destination = _axes('source', source, x.ndim), _axes('destination', destination, x.ndim)
    if len(source) != len(destination):
        raise ValueError('`source` and `destination` arguments must have the same number of elements')
    axes = [a for a in range(x.ndim) if a not in source]
    for place, axis in sorted(zip(destination, source)):
        axes.insert(place, axis)
    return Moveaxis(x.shape, tuple(axes)).apply((x,))[0]


def _axes(name, axes, ndim):
    axes = (axes,) if isinstance(axes, int) else axes
    if not isinstance(axes, (tuple, list)) or not all(isinstance(a, int) for a in axes):
        raise TypeError(f'int or tuple of int are required for {name}, not {axes!r}')
    for a in axes:
        check_axis('Moveaxis', a, ndim)
    axes = [a % ndim for a in axes]
    if len(set(axes)) < len(axes):
        raise ValueError(f'repeated axis in `{name}` argument')
    return axes
