"""Two axes exchanged."""

from chainlite._adjoint import adjoint_pair
from chainlite.variable import as_variable


def _swapaxes(x, in_shape, axis1, axis2):
    return x.swapaxes(axis1, axis2)


Swapaxes, SwapaxesGrad = adjoint_pair('Swapaxes', _swapaxes, 'SwapaxesGrad', _swapaxes, __name__)


def swapaxes(x, axis1, axis2):
    """Exchanges two axes (ints)."""
    x = as_variable(x)
    return Swapaxes(x.shape, axis1, axis2).apply((x,))[0]
