"""Two-dimensional convolution."""

from chainlite.functions._windows import TwoDimensional
from chainlite.functions.connection._convolution import Convolution, GradW
from chainlite.utils.argument import parse_kwargs, removed


class Convolution2DFunction(TwoDimensional, Convolution):
    def __init__(self, stride=1, pad=0, cover_all=False, dilate=1, groups=1, **kwargs):
        if kwargs:
            parse_kwargs(kwargs, **removed('deterministic'))
        super().__init__(2, stride, pad, cover_all, dilate, groups)


class Convolution2DGradW(TwoDimensional, GradW):
    pass


def convolution_2d(x, W, b=None, stride=1, pad=0, cover_all=False, **kwargs):
    """Two-dimensional convolution (cross-correlation): for each window, the sum of its elements times the filter's.

    Args:
        x: float array (n, c, h, w).
        W: float array (m, c / groups, kh, kw), the filters.
        b: float array (m), the bias, or None.
        stride, pad: int or pair of ints: step of the window, zeros on each side of x.
        cover_all: whether to add windows at the end until every element of x is in one.
        dilate: int or pair of ints (1): distance of the elements in the window.
        groups: int (1): the channels of x and of the result are split into this many groups, and each group sees its
            own only.

    Returns:
        Variable (n, m, oh, ow), of x's dtype, where oh = (h + 2 pad - dilate (kh - 1) - 1) // stride + 1, rounded up
        with cover_all.
    """
    dilate, groups = parse_kwargs(kwargs, ('dilate', 1), ('groups', 1), **removed('deterministic'))
    function = Convolution2DFunction(stride, pad, cover_all, dilate, groups)
    return function.apply((x, W) if b is None else (x, W, b))[0]
