"""The gradient of the rectified linear unit."""

from chainlite.backends._equations import equations, where
from chainlite.backends._kernel import Kernel


@equations
def _gradient(y, gy):
    return where(y > 0, gy, 0)


@Kernel
def relu_grad(y, gy):
    """gy where y > 0, otherwise 0."""
    return _gradient.run((y, gy))[0]
