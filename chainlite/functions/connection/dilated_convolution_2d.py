"""Convolution with gaps in the window."""

from chainlite.functions.connection.convolution_2d import convolution_2d


def dilated_convolution_2d(x, W, b=None, stride=1, pad=0, dilate=1, cover_all=False):
    """`convolution_2d` whose window takes elements `dilate` apart."""
    return convolution_2d(x, W, b, stride, pad, cover_all, dilate=dilate)
