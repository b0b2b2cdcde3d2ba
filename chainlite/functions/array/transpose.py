"""Permutation of axes."""

import numpy as np

from chainlite._adjoint import adjoint_pair
from chainlite.variable import as_variable, operations


def _transpose(x, in_shape, axes):
    return x.transpose(axes)


def _transpose_back(y, in_shape, axes):
    return y.transpose(axes if axes is None else np.argsort([a % len(axes) for a in axes]))


Transpose, TransposeGrad = adjoint_pair('Transpose', _transpose, 'TransposeGrad', _transpose_back, __name__)


def transpose(x, axes=None):
    """Permutes axes: axis i of the result is axis `axes[i]` of `x`. Reverses them by default."""
    x = as_variable(x)
    return Transpose(x.shape, axes).apply((x,))[0]


operations.transpose = transpose
