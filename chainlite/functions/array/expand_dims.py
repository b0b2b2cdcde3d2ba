"""A new axis of length one."""

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.functions.array.reshape import _reshape_back
from chainlite.utils import type_check
from chainlite.variable import as_variable


def _expand_dims(x, in_shape, axis):
    return backend.get_array_module(x).expand_dims(x, axis)


ExpandDims, ExpandDimsGrad = adjoint_pair('ExpandDims', _expand_dims, 'ExpandDimsGrad', _reshape_back, __name__)


def expand_dims(x, axis):
    """Puts a new axis of length 1 at `axis` (from -ndim - 1 to ndim)."""
    x = as_variable(x)
    if not -x.ndim - 1 <= axis <= x.ndim:
        least = axis if axis >= 0 else -axis - 1
        raise type_check.InvalidType(f'x.ndim >= {least}', f'{x.ndim} < {least}', function='ExpandDims')
    return ExpandDims(x.shape, axis).apply((x,))[0]
