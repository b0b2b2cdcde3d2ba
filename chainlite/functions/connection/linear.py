"""Affine maps."""

from math import prod

from chainlite._trilinear import Bilinear
from chainlite.backends.cpu.product import product
from chainlite.functions.array.reshape import reshape
from chainlite.utils import type_check
from chainlite.utils._check import kind_of
from chainlite.variable import as_variable


def _dot(a, b, dtype):
    y = product(a, b)
    return y if y.dtype is dtype else y.astype(dtype, copy=False)


def _fits(x, W, b=None):
    dtype, shape = x.dtype, W.shape
    if len(shape) != 2 or x.ndim != 2 or x.shape[1] != shape[1] or kind_of(dtype) != 'f':
        return False
    if W.dtype is not dtype and kind_of(W.dtype) != 'f':
        return False
    return b is None or b.shape == shape[:1] and (b.dtype is dtype or b.dtype == dtype)


class LinearFunction(Bilinear):
    """y (n, m) from x (n, c), W (m, c) and perhaps b (m)."""

    place = 1

    def _check_data_type_forward(self, in_data):
        if not _fits(*in_data):
            super()._check_data_type_forward(in_data)  # says in detail what is wrong

    def check_type_forward(self, in_types):
        n_in = type_check.eval(in_types.size())
        type_check.expect(2 <= in_types.size(), in_types.size() <= 3)
        type_check.argname(in_types, ('x', 'W', 'b')[:n_in])
        x, W = in_types[:2]
        type_check.expect(x.dtype.kind == 'f', W.dtype.kind == 'f', x.ndim == 2, W.ndim == 2, x.shape[1] == W.shape[1])
        if n_in == 3:
            b = in_types[2]
            type_check.expect(b.dtype == x.dtype, b.ndim == 1, b.shape[0] == W.shape[0])

    def run(self, x, W):
        return _dot(x, W.T, self.dtype or x.dtype)

    def forward(self, inputs):
        y = self.run(inputs[0], inputs[1])
        if len(inputs) == 3:
            y += inputs[2]
        return (y,)


class LinearGradData(Bilinear):
    """x from y and W."""

    place = 0

    def run(self, y, W):
        return _dot(y, W, self.dtype)


class LinearGradWeight(Bilinear):
    """W from x and y."""

    place = 2

    def run(self, x, y):
        return _dot(y.T, x, self.dtype)


Bilinear.tie(LinearGradData, LinearFunction, LinearGradWeight)


def linear(x, W, b=None, n_batch_axes=1):
    """x W^T + b.

    Args:
        x: float array; the axes after the first `n_batch_axes` together have c elements.
        W: float array (m, c).
        b: float array (m), the bias, or None.
        n_batch_axes: number of axes of x that are the batch.

    Returns:
        Variable: the batch axes of x, then m; of x's dtype.
    """
    if n_batch_axes <= 0:
        raise ValueError('n_batch_axes should be greater than 0.')
    x = as_variable(x)
    shape = x.shape
    batch = shape[:n_batch_axes]
    if n_batch_axes > 1:
        x = reshape(x, (prod(batch), prod(shape[n_batch_axes:])))
    elif len(shape) != 2:
        x = reshape(x, (len(x), prod(shape[1:])))
    (y,) = LinearFunction().apply((x, W) if b is None else (x, W, b))
    return reshape(y, (*batch, y.shape[1])) if n_batch_axes > 1 else y
