"""Initializers that are not random."""

from typing import Any

import numpy

from chainlite import backend
from chainlite.backends import cuda
from chainlite.initializer import Initializer


class Identity(Initializer):
    """`scale` times the identity matrix, for square matrices."""

    def __init__(self, scale=1.0, dtype=None):
        super().__init__(dtype)
        self.scale = scale

    def __call__(self, array):
        self._check_dtype(array)
        if array.ndim != 2 or array.shape[0] != array.shape[1]:
            raise ValueError('Identity matrix initialization can only be used for 2D squared matrices.')
        device = backend.get_device_from_array(array)
        with backend.using_device(device):
            array[...] = device.xp.identity(len(array), array.dtype) * self.scale


class _Constant(Initializer):
    fill_value: Any

    def __call__(self, array):
        self._check_dtype(array)
        value = self.fill_value
        if isinstance(value, numpy.ndarray) or cuda.is_cupy_array(value):
            value = backend.get_device_from_array(array).send(value)
        array[...] = value


class Constant(_Constant):
    """`fill_value`, a number or an array that can be broadcast."""

    def __init__(self, fill_value, dtype=None):
        super().__init__(dtype)
        self.fill_value = fill_value


class Zero(_Constant):
    """Zeros."""

    fill_value = 0.0


class One(_Constant):
    """Ones."""

    fill_value = 1.0


class NaN(_Constant):
    """NaN, for arrays that must be set before they are used; the least value where the dtype has no NaN."""

    fill_value = numpy.nan

    def __call__(self, array):
        if array.dtype.kind in 'iu':
            self._check_dtype(array)
            array[...] = numpy.iinfo(array.dtype).min
        else:
            super().__call__(array)
