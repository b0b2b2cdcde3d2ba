"""log(1 + x)."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='log1p')
def Log1p(x):
    return eq.log1p(x)


def log1p(x):
    """log(1 + x), elementwise, exact for small x."""
    return Log1p().apply((x,))[0]
