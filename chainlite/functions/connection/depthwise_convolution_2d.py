"""Convolution of each channel by itself."""

from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.transpose import transpose
from chainlite.functions.connection.convolution_2d import convolution_2d
from chainlite.variable import as_variable


def depthwise_convolution_2d(x, W, b=None, stride=1, pad=0):
    """Two-dimensional convolution of each channel by itself.

    Args:
        x: float array (n, c, h, w).
        W: float array (m, c, kh, kw): m filters for each channel.
        b: float array (c * m), the bias, or None.
        stride, pad: int or pair of ints: step of the window, zeros on each side of x.

    Returns:
        Variable (n, c * m, oh, ow): the m results of the first channel, those of the second, and so on.
    """
    W = as_variable(W)
    if W.ndim != 4:
        raise ValueError(
            f'depthwise_convolution_2d needs W of 4 dimensions (multiplier, channels, kh, kw), not {W.ndim}'
        )
    m, c, kh, kw = W.shape
    return convolution_2d(x, reshape(transpose(W, (1, 0, 2, 3)), (m * c, 1, kh, kw)), b, stride, pad, groups=c)
