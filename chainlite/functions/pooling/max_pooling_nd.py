"""Maximum of the elements in a window."""

import numpy as np

from chainlite.backends.cpu.pooling import max_pick, max_pool, max_spread
from chainlite.configuration import config
from chainlite.functions._windows import check_ndim
from chainlite.functions.pooling.pooling_nd import Linear, _PoolingND
from chainlite.variable import as_variable


class MaxPoolingND(_PoolingND):
    """Maximum pooling.

    Attributes:
        indexes: int array of the result's shape: which element of its window each maximum is, in row order.
    """

    any_layout = gives_new = new_gradients = True
    _places = None  # the same, in few bits
    _x = None  # what to find them in, if they have not been looked for

    def forward(self, inputs):
        (x,) = inputs
        self._in_shape = x.shape
        y, self._places = max_pool(x, *self._window, self._outs(x.shape[2:]), config.enable_backprop)
        if self._places is None:
            self._x = x
        return (y,)

    @property
    def places(self):
        if self._places is None:
            _, self._places = max_pool(self._x, *self._window, self._outs(self._in_shape[2:]), True)
            self._x = None
        return self._places

    @property
    def indexes(self):
        return self.places.astype(np.intp)

    def transposed(self):
        return MaxPoolingNDGrad(self)


class MaxPoolingNDGrad(Linear):
    """Puts each element where the maximum came from."""

    any_layout = True

    def __init__(self, func):
        self.func = func

    def forward(self, inputs):
        func = self.func
        return (max_spread(inputs[0], func.places, *func._window, func._in_shape[2:]),)

    def transposed(self):
        return MaxPoolingNDWithIndexes(self.func)


class MaxPoolingNDWithIndexes(Linear):
    """Takes the elements that were the maxima of another array."""

    def __init__(self, func):
        self.func = func

    def forward(self, inputs):
        return (max_pick(inputs[0], self.func.places, *self.func._window),)

    def transposed(self):
        return MaxPoolingNDGrad(self.func)


def max_pooling_nd(x, ksize, stride=None, pad=0, cover_all=True, return_indices=False):
    """N-dimensional maximum pooling. NaN stays NaN.

    Args:
        x: float array (n, c, d_1, ..., d_N).
        ksize: int or tuple of N ints: size of the window.
        stride: int or tuple of N ints: step of the window; its size if None.
        pad: int or tuple of N ints: padding on each side, which never is the maximum.
        cover_all: whether to add windows at the end until every element of x is in one.
        return_indices: whether to tell where the maxima were.

    Returns:
        Variable (n, c, o_1, ..., o_N) with o = (d + 2 pad - k) // stride + 1, rounded up with cover_all; with
        return_indices a pair of it and an int array of its shape, the number of the maximum in its window, in row
        order.
    """
    x = as_variable(x)
    func = MaxPoolingND(x.ndim - 2, ksize, stride, pad, cover_all, return_indices)
    (y,) = func.apply((x,))
    return (y, func.indexes) if return_indices else y


def max_pooling_1d(x, ksize, stride=None, pad=0, cover_all=True, return_indices=False):
    """One-dimensional maximum pooling: `max_pooling_nd` for x (n, c, d)."""
    check_ndim(x, 1)
    return max_pooling_nd(x, ksize, stride, pad, cover_all, return_indices)


def max_pooling_2d(x, ksize, stride=None, pad=0, cover_all=True, return_indices=False):
    """Two-dimensional maximum pooling: `max_pooling_nd` for x (n, c, h, w)."""
    check_ndim(x, 2)
    return max_pooling_nd(x, ksize, stride, pad, cover_all, return_indices)


def max_pooling_3d(x, ksize, stride=None, pad=0, cover_all=True, return_indices=False):
    """Three-dimensional maximum pooling: `max_pooling_nd` for x (n, c, d_1, d_2, d_3)."""
    check_ndim(x, 3)
    return max_pooling_nd(x, ksize, stride, pad, cover_all, return_indices)
