"""Checks of axes, with Chainer's messages."""

import numpy as np

from chainlite.utils import type_check
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


def expect_alike(in_types, axis):
    """A type check: all inputs agree in dtype, in the number of axes and in the sizes of all but one."""
    first, *others = in_types
    for other in others:
        type_check.expect(first.dtype == other.dtype, first.ndim == other.ndim)
        for d in range(type_check.eval(first.ndim)):
            if d != axis:
                type_check.expect(first.shape[d] == other.shape[d])
