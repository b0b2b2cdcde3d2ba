"""Average of the elements in a window of an image."""

from chainlite.functions.pooling.average_pooling_nd import AveragePooling
from chainlite.functions.pooling.pooling_2d import Pooling2D


class AveragePooling2D(Pooling2D, AveragePooling):
    def __init__(self, ksize, stride=None, pad=0, cover_all=False):
        super().__init__(ksize, stride, pad, cover_all)


def average_pooling_2d(x, ksize, stride=None, pad=0):
    """Two-dimensional average pooling. The padding counts as zeros.

    Args:
        x: float array (n, c, h, w).
        ksize: int or pair of ints: size of the window.
        stride: int or pair of ints: step of the window; its size if None.
        pad: int or pair of ints: padding on each side.

    Returns:
        Variable (n, c, oh, ow) with oh = (h + 2 pad - kh) // stride + 1.
    """
    return AveragePooling2D(ksize, stride, pad).apply((x,))[0]
