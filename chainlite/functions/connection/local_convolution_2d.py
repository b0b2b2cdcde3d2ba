"""Convolution with another filter at each place."""

from math import prod

from chainlite import backend
from chainlite._trilinear import Bilinear
from chainlite.backends.cpu.product import product
from chainlite.backends.cpu.windows import col2im, im2col
from chainlite.utils import type_check
from chainlite.utils.conv_nd import as_tuple


class _LocalConvolution(Bilinear):
    """The arrays of the form are x (n, c, h, w), y (n, m, oh, ow), W (m, oh, ow, c, kh, kw); the bias is (m, oh, ow).

    Place by place these are products of matrices: (n, c kh kw) of the window, (m, c kh kw) of the filters, (n, m) of
    the result.
    """

    parameters = ('stride', 'ksize')

    def _columns(self, x, outs):
        xp = backend.get_array_module(x)
        col = xp.zeros((*x.shape[:2], *self.ksize, *outs), x.dtype)
        im2col(x, self.ksize, self.stride, (0, 0), (1, 1), outs, col)
        return col.reshape(len(x), x.shape[1] * prod(self.ksize), *outs).transpose(2, 3, 0, 1)  # (oh, ow, n, c kh kw)

    def _places(self, a):
        """(n, m, oh, ow) -> (oh, ow, n, m)."""
        return a.transpose(2, 3, 0, 1)

    def _filters(self, W):
        return W.reshape(*W.shape[:3], -1).transpose(1, 2, 3, 0)  # (oh, ow, c kh kw, m)

    def _bias_axes(self, gy):
        return (0,)


class LocalConvolution2DFunction(_LocalConvolution):
    place = 1

    def __init__(self, stride=1):
        self.stride = as_tuple(stride, 2)
        self.sy, self.sx = self.stride

    def check_type_forward(self, in_types):
        n_in = in_types.size()
        type_check.expect(2 <= n_in, n_in <= 3)
        x, W = in_types[:2]
        type_check.expect(x.dtype.kind == 'f', W.dtype.kind == 'f', x.ndim == 4, W.ndim == 6, x.shape[1] == W.shape[3])
        if type_check.eval(n_in) == 3:
            b = in_types[2]
            type_check.expect(b.dtype == x.dtype, b.ndim == 3, b.shape == W.shape[:3])

    def forward(self, inputs):
        x, W, *b = inputs
        self.ksize = W.shape[4:]
        y = self.run(x, W)
        if b:
            y += b[0]
        return (y,)

    def run(self, x, W):
        y = product(self._columns(x, W.shape[1:3]), self._filters(W))
        return y.transpose(2, 3, 0, 1).astype(self.dtype or x.dtype, copy=False)


class LocalConvolution2DGradX(_LocalConvolution):
    place = 0

    def run(self, y, W):
        col = product(self._places(y), self._filters(W).swapaxes(2, 3)).transpose(2, 3, 0, 1)
        x = backend.get_array_module(y).zeros(self.shape, col.dtype)
        x = col2im(col.reshape(*x.shape[:2], *self.ksize, *y.shape[2:]), self.stride, (0, 0), (1, 1), x)
        return x.astype(self.dtype, copy=False)


class LocalConvolution2DGradW(_LocalConvolution):
    place = 2

    def run(self, x, y):
        outs = y.shape[2:]
        W = product(self._places(y).swapaxes(2, 3), self._columns(x, outs))  # (oh, ow, m, c kh kw)
        return W.transpose(2, 0, 1, 3).reshape(self.shape).astype(self.dtype, copy=False)


Bilinear.tie(LocalConvolution2DGradX, LocalConvolution2DFunction, LocalConvolution2DGradW)


def local_convolution_2d(x, W, b=None, stride=1):
    """Two-dimensional convolution with a filter of its own for each place.

    Args:
        x: float array (n, c, h, w).
        W: float array (m, oh, ow, c, kh, kw), the filters.
        b: float array (m, oh, ow), the bias, or None.
        stride: int or pair of ints, step of the window.

    Returns:
        Variable (n, m, oh, ow) with the sizes that W has.
    """
    return LocalConvolution2DFunction(stride).apply((x, W) if b is None else (x, W, b))[0]
