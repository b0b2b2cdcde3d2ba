"""Convolution in any number of dimensions."""

from chainlite.functions._windows import check_ndim
from chainlite.functions.connection._convolution import Convolution, GradW
from chainlite.variable import as_variable


class ConvolutionND(Convolution):
    pass


class ConvolutionNDGradW(GradW):
    pass


def convolution_nd(x, W, b=None, stride=1, pad=0, cover_all=False, dilate=1, groups=1):
    """N-dimensional convolution (cross-correlation): for each window, the sum of its elements times the filter's.

    Args:
        x: float array (n, c, d_1, ..., d_N).
        W: float array (m, c / groups, k_1, ..., k_N), the filters.
        b: float array (m), the bias, or None.
        stride, pad, dilate: int or tuple of N ints: step of the window, zeros on each side of x, distance of the
            elements in the window.
        cover_all: whether to add windows at the end until every element of x is in one.
        groups: the channels of x and of the result are split into this many groups, and each group sees its own only.

    Returns:
        Variable (n, m, o_1, ..., o_N), of x's dtype, where o = (d + 2 pad - dilate (k - 1) - 1) // stride + 1,
        rounded up with cover_all.
    """
    x = as_variable(x)
    args = (x, W) if b is None else (x, W, b)
    return ConvolutionND(x.ndim - 2, stride, pad, cover_all, dilate, groups).apply(args)[0]


def convolution_1d(x, W, b=None, stride=1, pad=0, cover_all=False, dilate=1, groups=1):
    """One-dimensional convolution: `convolution_nd` for x (n, c, d)."""
    check_ndim(x, 1)
    return convolution_nd(x, W, b, stride, pad, cover_all, dilate, groups)


def convolution_3d(x, W, b=None, stride=1, pad=0, cover_all=False, dilate=1, groups=1):
    """Three-dimensional convolution: `convolution_nd` for x (n, c, d_1, d_2, d_3)."""
    check_ndim(x, 3)
    return convolution_nd(x, W, b, stride, pad, cover_all, dilate, groups)
