"""Average of the elements in a window."""

from chainlite.backends.cpu.pooling import average_pool, average_spread
from chainlite.functions._windows import check_ndim
from chainlite.functions.pooling.pooling_nd import Linear, _PoolingND
from chainlite.variable import as_variable


class AveragePooling(_PoolingND):
    """Average pooling.

    Attributes:
        pad_value: 0 if the padding counts as zeros, None if it does not count.
    """

    any_layout = gives_new = new_gradients = True
    pad_value = 0

    def forward(self, inputs):
        (x,) = inputs
        self._in_shape = x.shape
        return (average_pool(x, *self._window, self._outs(x.shape[2:]), self.pad_value is None),)

    def transposed(self):
        return AveragePoolingNDGrad(self)


class AveragePoolingND(AveragePooling):
    def __init__(self, ndim, ksize, stride=None, pad=0, cover_all=False, pad_value=0):
        if pad_value not in (0, None):
            raise ValueError(f'pad_value must be either 0 or None, not {pad_value}.')
        if pad_value is None and cover_all:
            raise ValueError(
                'pad_value=None and cover_all=True cannot be combined: an added window may see padding only'
            )
        super().__init__(ndim, ksize, stride, pad, cover_all)
        self.pad_value = pad_value


class AveragePoolingNDGrad(Linear):
    """Spreads each element evenly over its window: the transpose of average pooling."""

    any_layout = True

    def __init__(self, func):
        self.func = func

    def forward(self, inputs):
        func = self.func
        return (average_spread(inputs[0], *func._window, func._in_shape[2:], func.pad_value is None),)

    def transposed(self):
        again = AveragePooling(self.func.ndim, *self.func._window, self.func.cover_all)
        again.pad_value = self.func.pad_value
        return again


def average_pooling_nd(x, ksize, stride=None, pad=0, pad_value=0):
    """N-dimensional average pooling.

    Args:
        x: float array (n, c, d_1, ..., d_N).
        ksize: int or tuple of N ints: size of the window.
        stride: int or tuple of N ints: step of the window; its size if None.
        pad: int or tuple of N ints: padding on each side.
        pad_value: 0 to count the padding as zeros, None not to count it.

    Returns:
        Variable (n, c, o_1, ..., o_N) with o = (d + 2 pad - k) // stride + 1.
    """
    x = as_variable(x)
    return AveragePoolingND(x.ndim - 2, ksize, stride, pad, pad_value=pad_value).apply((x,))[0]


def average_pooling_1d(x, ksize, stride=None, pad=0, pad_value=0):
    """One-dimensional average pooling: `average_pooling_nd` for x (n, c, d)."""
    check_ndim(x, 1)
    return average_pooling_nd(x, ksize, stride, pad, pad_value)


def average_pooling_3d(x, ksize, stride=None, pad=0, pad_value=0):
    """Three-dimensional average pooling: `average_pooling_nd` for x (n, c, d_1, d_2, d_3)."""
    check_ndim(x, 3)
    return average_pooling_nd(x, ksize, stride, pad, pad_value)
