"""Initializers: callables that fill an array.  Links take them, numbers and arrays wherever they say `initialW`."""

import numpy

from chainlite import backend
from chainlite.backends import cuda
from chainlite.configuration import get_dtype
from chainlite.initializers.constant import Constant, Identity, NaN, One, Zero
from chainlite.initializers.normal import GlorotNormal, HeNormal, LeCunNormal, Normal
from chainlite.initializers.orthogonal import Orthogonal
from chainlite.initializers.sampling import DownsamplingConvFilter, UpsamplingDeconvFilter
from chainlite.initializers.uniform import GlorotUniform, HeUniform, LeCunUniform, Uniform


def generate_array(initializer, shape, xp, dtype=None, device=None):
    """A new array, filled by `initializer`.

    Args:
        initializer: a callable that takes an array; its `dtype` attribute, if any, is what it wants.
        shape: tuple of sizes, or one.
        xp: `numpy` or `cupy`.
        dtype: dtype of the array; None is the initializer's, or else `config.dtype`.
        device: where to make the array; None is the current device of `xp`.

    Raises:
        ValueError: the initializer wants another dtype, or the device does not belong to `xp`.
    """
    wanted = getattr(initializer, 'dtype', None)
    if wanted is not None and dtype is not None and get_dtype(wanted) != get_dtype(dtype):
        raise ValueError(f'dtype mismatch: {dtype} != {wanted}')
    dtype = get_dtype(wanted if dtype is None else dtype)
    if device is None:
        array = xp.empty(shape, dtype)
        initializer(array)
        return array
    device = backend.get_device(device)
    if device.xp is not xp:
        raise ValueError('xp and device arguments are inconsistent.')
    with backend.using_device(device):
        return generate_array(initializer, shape, xp, dtype)


def _get_initializer(initializer, default=None):
    """The initializer that a link's argument means: itself or a constant; for None the default, or LeCunNormal."""
    initializer = default if initializer is None else initializer
    if initializer is None:
        return LeCunNormal()
    if numpy.isscalar(initializer) or isinstance(initializer, numpy.ndarray) or cuda.is_cupy_array(initializer):
        return Constant(initializer)
    if not callable(initializer):
        raise TypeError(f'invalid type of initializer: {type(initializer)}')
    return initializer
