"""Signs."""

from chainlite import backend
from chainlite.variable import Variable, as_array


def sign(x):
    """-1, 0 or 1, elementwise, without a gradient."""
    x = as_array(x)
    xp = backend.get_array_module(x)
    return Variable(xp.asarray(xp.sign(x)), requires_grad=False)
