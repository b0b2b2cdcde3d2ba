"""Patches of images as channels."""

from chainlite._adjoint import adjoint_pair
from chainlite.utils import conv
from chainlite.utils.conv import col2im_cpu, col2im_gpu, im2col_cpu, im2col_gpu  # noqa: F401 (also found here)
from chainlite.variable import as_variable


def _pair(x):
    return x if hasattr(x, '__getitem__') else (x, x)


def _im2col(x, in_shape, ksize, stride, pad, cover_all, dilate):
    col = conv.im2col(x, *ksize, *stride, *pad, cover_all, *dilate)
    n, c, kh, kw, oh, ow = col.shape
    return col.reshape(n, c * kh * kw, oh, ow)


def _col2im(y, in_shape, ksize, stride, pad, cover_all, dilate):
    n, c, h, w = in_shape
    col = y.reshape(n, c, *ksize, *y.shape[2:])
    return conv.col2im(col, *stride, *pad, h, w, *dilate)


Im2Col, Im2ColGrad = adjoint_pair('Im2Col', _im2col, 'Im2ColGrad', _col2im, __name__, check='x: f (n c h w)')


def im2col(x, ksize, stride=1, pad=0, cover_all=False, dilate=1):
    """The patches of images that a convolution sees.

    Args:
        x: float array (n, c, h, w).
        ksize, stride, pad, dilate: int or pair of ints: size of a patch, distance of patches, padding, distance of the
            pixels in a patch.
        cover_all: whether the patches cover every pixel, with more padding at the end if needed.

    Returns:
        Variable of shape (n, c * kh * kw, oh, ow).
    """
    x = as_variable(x)
    return Im2Col(x.shape, _pair(ksize), _pair(stride), _pair(pad), cover_all, _pair(dilate)).apply((x,))[0]
