"""Change of dtype."""

import numpy as np

from chainlite._adjoint import adjoint_pair
from chainlite.configuration import config
from chainlite.variable import as_variable, operations


def _cast(x, in_shape, in_type, typ):
    return x.astype(typ, copy=False)


def _cast_back(y, in_shape, in_type, typ):
    return y.astype(in_type, copy=False)


Cast, CastGrad = adjoint_pair('Cast', _cast, 'CastGrad', _cast_back, __name__)


def cast(x, typ):
    """`x` as dtype `typ`.

    Args:
        x: array of any shape and dtype.
        typ: dtype. If it is that of `x` and no graph is made, `x` itself is returned.
    """
    x = as_variable(x)
    if x.dtype == typ and not config.enable_backprop:
        return x
    return Cast(x.shape, x.dtype, np.dtype(typ)).apply((x,))[0]


operations.cast = cast
