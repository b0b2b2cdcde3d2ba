"""Images as matrices of patches, and back: two spatial dimensions."""

from chainlite.backends import cuda
from chainlite.utils import conv_nd
from chainlite.utils.conv_nd import get_conv_outsize, get_deconv_outsize  # noqa: F401 (this is where Chainer has them)


def im2col_cpu(img, kh, kw, sy, sx, ph, pw, pval=0, cover_all=False, dy=1, dx=1, out_h=None, out_w=None):
    """`im2col` of a NumPy array; `pval` is the value of the padding."""
    outs = (out_h, out_w)
    return conv_nd._im2col_cpu(img, (kh, kw), (sy, sx), (ph, pw), pval, cover_all, (dy, dx), outs)


def im2col_gpu(img, kh, kw, sy, sx, ph, pw, cover_all=False, dy=1, dx=1, out_h=None, out_w=None):
    """`im2col` of a CuPy array."""
    return conv_nd._im2col_gpu(img, (kh, kw), (sy, sx), (ph, pw), cover_all, (dy, dx), (out_h, out_w))


def im2col(img, kh, kw, sy, sx, ph, pw, cover_all=False, dy=1, dx=1, out_h=None, out_w=None):
    """The patches of images that a convolution multiplies with its weight.

    Args:
        img: array (n, c, h, w).
        kh, kw: size of a patch.
        sy, sx: strides.
        ph, pw: padding on each side.
        cover_all: cover every pixel, with more padding at the end if needed.
        dy, dx: distance of the pixels of a patch.
        out_h, out_w: size of the output; None to work it out.

    Returns:
        Array (n, c, kh, kw, out_h, out_w).
    """
    im2col = im2col_gpu if cuda.is_cupy_array(img) else im2col_cpu
    return im2col(img, kh, kw, sy, sx, ph, pw, cover_all=cover_all, dy=dy, dx=dx, out_h=out_h, out_w=out_w)


def col2im_cpu(col, sy, sx, ph, pw, h, w, dy=1, dx=1):
    """`col2im` of a NumPy array."""
    return conv_nd.col2im_nd_cpu(col, (sy, sx), (ph, pw), (h, w), (dy, dx))


def col2im_gpu(col, sy, sx, ph, pw, h, w, dy=1, dx=1):
    """`col2im` of a CuPy array."""
    return conv_nd.col2im_nd_gpu(col, (sy, sx), (ph, pw), (h, w), (dy, dx))


def col2im(col, sy, sx, ph, pw, h, w, dy=1, dx=1):
    """Adds up patches (n, c, kh, kw, out_h, out_w) where they came from: the transpose of `im2col`.

    Returns:
        Array (n, c, h, w).
    """
    col2im = col2im_gpu if cuda.is_cupy_array(col) else col2im_cpu
    return col2im(col, sy, sx, ph, pw, h, w, dy, dx)
