"""Two-dimensional transposed convolution."""

from chainlite.functions._windows import TwoDimensionalTransposed
from chainlite.functions.connection._convolution import Deconvolution
from chainlite.functions.connection.convolution_2d import Convolution2DFunction, Convolution2DGradW
from chainlite.utils.argument import parse_kwargs, removed


class Deconvolution2DFunction(TwoDimensionalTransposed, Deconvolution):
    def __init__(self, stride=1, pad=0, outsize=None, **kwargs):
        dilate, groups = parse_kwargs(kwargs, ('dilate', 1), ('groups', 1), **removed('deterministic'))
        super().__init__(2, stride, pad, None if outsize == (None, None) else outsize, dilate, groups)

    def _check_positive(self, outs):
        if outs[0] <= 0:
            raise RuntimeError('Height in the output must be positive.')
        if outs[1] <= 0:
            raise RuntimeError('Width in the output must be positive.')


Deconvolution2DFunction.tie(Deconvolution2DFunction, Convolution2DFunction, Convolution2DGradW)


def deconvolution_2d(x, W, b=None, stride=1, pad=0, outsize=None, **kwargs):
    """Two-dimensional transposed convolution: adds the filter times each element of x to the element's window.

    Args:
        x: float array (n, c, h, w).
        W: float array (c, m / groups, kh, kw), the filters.
        b: float array (m), the bias, or None.
        stride, pad: int or pair of ints, those of the convolution that this is the transpose of.
        outsize: pair of ints, height and width of the result; by default stride (h - 1) + dilate (kh - 1) + 1 - 2 pad.
        dilate: int or pair of ints (1): distance of the elements in the window.
        groups: int (1): the channels of x and of the result are split into this many groups.

    Returns:
        Variable (n, m, *outsize), of x's dtype.
    """
    dilate, groups = parse_kwargs(kwargs, ('dilate', 1), ('groups', 1), **removed('deterministic'))
    function = Deconvolution2DFunction(stride, pad, outsize, dilate=dilate, groups=groups)
    return function.apply((x, W) if b is None else (x, W, b))[0]
