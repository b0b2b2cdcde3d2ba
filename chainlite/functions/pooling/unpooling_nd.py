"""The transpose of summing over windows."""

from chainlite.backends.cpu.pooling import window_spread, window_sum
from chainlite.functions._windows import check_ndim
from chainlite.functions.pooling.pooling_nd import Linear, _PoolingND
from chainlite.utils import type_check
from chainlite.utils.conv_nd import get_conv_outsize, get_deconv_outsize
from chainlite.variable import as_variable


class Unpooling(_PoolingND):
    """Puts each element into all places of its window; where windows overlap their elements are added.

    Attributes:
        outs: sizes of the result.
    """

    outs = None

    def _set_outs(self, outsize):
        if outsize is not None:
            assert len(outsize) == self.ndim
            self.outs = tuple(outsize)

    def _check_data_type_forward(self, in_data):
        super()._check_data_type_forward(in_data)
        if self.outs is not None and in_data[0].shape[2:] != self._expected():
            with type_check.get_function_check_context(self):
                self._check_shape(type_check.get_types(in_data, 'in_types', False)[0])

    def _expected(self):
        return tuple(
            [get_conv_outsize(size, k, s, p, self.cover_all) for size, k, s, p in zip(self.outs, *self._window)]
        )

    def _check_shape(self, x):
        type_check.expect(x.shape[2:] == self._expected())

    def forward(self, inputs):
        (x,) = inputs
        self._in_dims = x.shape[2:]
        if self.outs is None:
            sizes = zip(self._in_dims, *self._window)
            self.outs = tuple([get_deconv_outsize(size, k, s, p, self.cover_all) for size, k, s, p in sizes])
        return (self._spread(x),)

    def _spread(self, x):
        return window_spread(x, *self._window, self.outs)

    def transposed(self):
        return UnpoolingNDGrad(self)


class UnpoolingND(Unpooling):
    def __init__(self, ndim, ksize, stride=None, pad=0, outsize=None, cover_all=True):
        super().__init__(ndim, ksize, stride, pad, cover_all)
        self._set_outs(outsize)


class UnpoolingNDGrad(Linear):
    """Sums over windows."""

    def __init__(self, unpoolingnd):
        self.func = unpoolingnd

    def forward(self, inputs):
        return (window_sum(inputs[0], *self.func._window, self.func._in_dims),)

    def transposed(self):
        func = self.func
        again = Unpooling(func.ndim, *func._window, func.cover_all)
        again.outs = func.outs
        return again


def unpooling_nd(x, ksize, stride=None, pad=0, outsize=None, cover_all=True):
    """N-dimensional unpooling: puts each element of x into all places of its window, the transpose of summing over
    windows.

    Args:
        x: float array (n, c, d_1, ..., d_N).
        ksize: int or tuple of N ints: size of the window.
        stride: int or tuple of N ints: step of the window; its size if None.
        pad: int or tuple of N ints: padding of the result on each side.
        outsize: tuple of N ints, the sizes of the result, or None to work them out.
        cover_all: whether the sizes worked out are those for which pooling with cover_all gives x's.

    Returns:
        Variable (n, c, *outsize), by default with stride (d - 1) + k - 2 pad, less stride - 1 with cover_all.
    """
    x = as_variable(x)
    return UnpoolingND(x.ndim - 2, ksize, stride, pad, outsize, cover_all).apply((x,))[0]


def unpooling_1d(x, ksize, stride=None, pad=0, outsize=None, cover_all=True):
    """One-dimensional unpooling: `unpooling_nd` for x (n, c, d)."""
    check_ndim(x, 1)
    return unpooling_nd(x, ksize, stride, pad, outsize, cover_all)


def unpooling_3d(x, ksize, stride=None, pad=0, outsize=None, cover_all=True):
    """Three-dimensional unpooling: `unpooling_nd` for x (n, c, d_1, d_2, d_3)."""
    check_ndim(x, 3)
    return unpooling_nd(x, ksize, stride, pad, outsize, cover_all)
