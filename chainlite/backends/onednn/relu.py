"""The gradient of the rectified linear unit, in one pass.

The function itself stays with NumPy, which is as fast: oneDNN's would turn NaN into 0. The primitive of the gradient
would let pass what comes where y is NaN, so it is a comparison, -y < 0, times gy. That is what Chainer computes: an
infinite gy gives NaN where y is not positive.
"""

import numpy as np

from chainlite.backends._layout import as_last, is_last
from chainlite.backends.cpu.relu import relu_grad
from chainlite.backends.onednn._backend import is_float32, onednn
from chainlite.backends.onednn._primitive import OPERANDS, RESULT, SCALE_0, SRC_0, SRC_1, Descriptors, Operation
from chainlite.backends.onednn._threads import get_num_threads, operation

_MUL, _LESS = 0x1FFF1, 0x1FFF9  # algorithms
_WORTH, _LARGE = 1 << 14, 1 << 20  # elements
_ZERO, _MINUS = np.zeros(1, np.float32), np.full(1, -1, np.float32)


def _build(size):
    with Descriptors() as make:
        y, number = make.plain((size,)), make.plain((1,))
        attributes = make.attributes([('binary', _MUL, y)], [SRC_0[0]])
        primitive = make.primitive('binary', _LESS, y, number, y, attributes=attributes)
        arguments = (SRC_0, y, False), (SRC_1, number, False), (RESULT, y, True)
        return Operation(make, primitive, *arguments, (SCALE_0, number, False), (OPERANDS[0], y, False))


def mask(y, gy, gx):
    """Writes gy where y > 0, otherwise 0, to gx; all of one size and C-contiguous."""
    operation(_build, y.size)(y, _ZERO, gx, _MINUS, gy)


def _takes(y, gy):
    # In several threads, NumPy is done with smaller arrays that come from one thread before others have begun.
    return is_float32(y, gy) and (is_last(y) or y.flags.c_contiguous and (y.size >= _LARGE or get_num_threads() == 1))


@relu_grad.when(onednn, _takes, least=_WORTH)
def _(y, gy):
    gy = as_last(gy) if is_last(y) else np.ascontiguousarray(gy)
    gx = np.empty_like(y)
    mask(y, gy, gx)
    return gx
