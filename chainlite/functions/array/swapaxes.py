"""Two axes exchanged."""

from chainlite.functions.array.transpose import transpose
from chainlite.variable import as_variable


def swapaxes(x, axis1, axis2):
    """Exchanges two axes."""
    x = as_variable(x)
    axes = list(range(x.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(x, tuple(axes))
