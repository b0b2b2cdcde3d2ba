"""Checks of axes, with Chainer's messages."""

import numpy as np

from chainlite.utils.type_check import InvalidType


def check_axis(label, axis, ndim, name='x'):
    """Raises InvalidType, naming the function `label`, unless -ndim <= axis < ndim."""
    if axis >= ndim:
        raise InvalidType(f'{name}.ndim > {axis}', f'{ndim} <= {axis}', function=label)
    if axis < -ndim:
        raise InvalidType(f'{name}.ndim >= {-axis}', f'{ndim} < {-axis}', function=label)


def check_int(value, name):
    """Raises TypeError unless the argument `name` is an int."""
    if not isinstance(value, (int, np.integer)):
        raise TypeError(f'{name} must be int')
