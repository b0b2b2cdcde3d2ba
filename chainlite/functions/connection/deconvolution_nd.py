"""Transposed convolution in any number of dimensions."""

from chainlite.functions._windows import check_ndim
from chainlite.functions.connection._convolution import Deconvolution
from chainlite.functions.connection.convolution_nd import ConvolutionND, ConvolutionNDGradW
from chainlite.variable import as_variable


class DeconvolutionND(Deconvolution):
    pass


DeconvolutionND.tie(DeconvolutionND, ConvolutionND, ConvolutionNDGradW)


def deconvolution_nd(x, W, b=None, stride=1, pad=0, outsize=None, dilate=1, groups=1):
    """N-dimensional transposed convolution: adds the filter times each element of x to the element's window.

    Args:
        x: float array (n, c, d_1, ..., d_N).
        W: float array (c, m / groups, k_1, ..., k_N), the filters.
        b: float array (m), the bias, or None.
        stride, pad, dilate: int or tuple of N ints, those of the convolution that this is the transpose of.
        outsize: tuple of N ints, the sizes of the result; by default stride (d - 1) + dilate (k - 1) + 1 - 2 pad.
        groups: the channels of x and of the result are split into this many groups.

    Returns:
        Variable (n, m, *outsize), of x's dtype.
    """
    x = as_variable(x)
    args = (x, W) if b is None else (x, W, b)
    return DeconvolutionND(x.ndim - 2, stride, pad, outsize, dilate, groups).apply(args)[0]


def deconvolution_1d(x, W, b=None, stride=1, pad=0, outsize=None, dilate=1, groups=1):
    """One-dimensional transposed convolution: `deconvolution_nd` for x (n, c, d)."""
    check_ndim(x, 1)
    return deconvolution_nd(x, W, b, stride, pad, outsize, dilate, groups)


def deconvolution_3d(x, W, b=None, stride=1, pad=0, outsize=None, dilate=1, groups=1):
    """Three-dimensional transposed convolution: `deconvolution_nd` for x (n, c, d_1, d_2, d_3)."""
    check_ndim(x, 3)
    return deconvolution_nd(x, W, b, stride, pad, outsize, dilate, groups)
