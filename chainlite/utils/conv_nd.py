"""Images as matrices of patches, and back: any number of spatial dimensions."""

import itertools

import numpy

from chainlite.backends import cuda
from chainlite.utils import conv_nd_kernel

_ALL_IMAGES = (slice(None), slice(None))


def get_conv_outsize(size, k, s, p, cover_all=False, d=1):
    """Size of the output of a convolution.

    Args:
        size: size of the input.
        k, s, p: kernel size, stride and padding.
        cover_all: cover every element of the input, with more padding at the end if needed.
        d: dilation, the distance of the elements that a kernel takes.
    """
    reach = size + p * 2 - (k + (k - 1) * (d - 1))
    return (reach + s - 1) // s + 1 if cover_all else reach // s + 1


def get_deconv_outsize(size, k, s, p, cover_all=False, d=1):
    """Size of the output of a deconvolution: the input for which `get_conv_outsize` gives `size`."""
    dk = k + (k - 1) * (d - 1)
    return s * (size - 1) + dk - (s - 1 if cover_all else 0) - 2 * p


def as_tuple(x, n):
    """A tuple of length `n`: of the elements of `x`, or `x` itself repeated."""
    if type(x) is int:
        return (x,) * n
    if type(x) is tuple and len(x) == n:
        return x
    if hasattr(x, '__getitem__') and not isinstance(x, numpy.integer):  # they have it too
        assert len(x) == n
        return tuple(x)
    return (x,) * n


def im2col_nd_cpu(img, ksize, stride, pad, pval=0, cover_all=False, dilate=1):
    """`im2col_nd` of a NumPy array; `pval` is the value of the padding."""
    return _im2col_cpu(img, ksize, stride, pad, pval, cover_all, dilate)


def im2col_nd_gpu(img, ksize, stride, pad, cover_all=False, dilate=1):
    """`im2col_nd` of a CuPy array."""
    return _im2col_gpu(img, ksize, stride, pad, cover_all, dilate)


def im2col_nd(img, ksize, stride, pad, cover_all=False, dilate=1):
    """The patches of images that a convolution multiplies with its weight.

    Args:
        img: array (n, c, d_1, ..., d_N).
        ksize: tuple of N sizes of a patch.
        stride, pad: tuples of N strides and paddings.
        cover_all: cover every pixel, with more padding at the end if needed.
        dilate: distance of the pixels of a patch, one for all dimensions or a tuple.

    Returns:
        Array (n, c, k_1, ..., k_N, out_1, ..., out_N).
    """
    im2col = im2col_nd_gpu if cuda.is_cupy_array(img) else im2col_nd_cpu
    return im2col(img, ksize, stride, pad, cover_all=cover_all, dilate=dilate)


def col2im_nd_cpu(col, stride, pad, dims, dilate=1):
    """`col2im_nd` of a NumPy array."""
    dilate, ksize, outs = _check_col(col, stride, pad, dims, dilate)
    reach = [d * (k - 1) + s * (out - 1) + 1 for d, k, s, out in zip(dilate, ksize, stride, outs)]
    padded = [max(size + 2 * p, r) for size, p, r in zip(dims, pad, reach)]
    img = numpy.zeros(col.shape[:2] + tuple(padded), col.dtype)
    for offset in itertools.product(*map(range, ksize)):
        places = tuple(slice(i * d, i * d + s * out, s) for i, d, s, out in zip(offset, dilate, stride, outs))
        img[_ALL_IMAGES + places] += col[_ALL_IMAGES + offset]
    return img[_inside(pad, dims)]


def col2im_nd_gpu(col, stride, pad, dims, dilate=1):
    """`col2im_nd` of a CuPy array."""
    if col.dtype.kind != 'f':  # bfloat16
        return col2im_nd_gpu(col.astype('f'), stride, pad, dims, dilate).astype(col.dtype)
    dilate, ksize, outs = _check_col(col, stride, pad, dims, dilate)
    img = cuda.cupy.empty(col.shape[:2] + tuple(dims), col.dtype)
    numbers = (*dims, *outs, *ksize, *stride, *pad, *dilate)
    conv_nd_kernel.Col2imNDKernel.kernel(len(dims))(cuda.cupy.ascontiguousarray(col).reduced_view(), *numbers, img)
    return img


def col2im_nd(col, stride, pad, dims, dilate=1):
    """Adds up patches where they came from: the transpose of `im2col_nd`.

    Args:
        col: array (n, c, k_1, ..., k_N, out_1, ..., out_N).
        stride, pad: tuples of N strides and paddings.
        dims: tuple of the N sizes of the result.
        dilate: distance of the pixels of a patch, one for all dimensions or a tuple.

    Returns:
        Array (n, c, *dims).
    """
    col2im = col2im_nd_gpu if cuda.is_cupy_array(col) else col2im_nd_cpu
    return col2im(col, stride, pad, dims, dilate)


def _check_img(img, ksize, stride, pad, cover_all, dilate, outs):
    """Dilation and sizes of the output, as tuples."""
    dims = img.shape[2:]
    dilate = as_tuple(dilate, len(dims))
    assert len(dims) == len(ksize) == len(stride) == len(pad)
    sizes = zip(dims, ksize, stride, pad, dilate)
    computed = [get_conv_outsize(size, k, s, p, cover_all, d) for size, k, s, p, d in sizes]
    outs = tuple(a if b is None else b for a, b in zip(computed, outs or [None] * len(dims)))
    if len(dims) == 2:
        assert outs[0] > 0, 'Height in the output should be positive.'
        assert outs[1] > 0, 'Width in the output should be positive.'
    assert all(out > 0 for out in outs), 'Output sizes should be positive.'
    return dilate, outs


def _check_col(col, stride, pad, dims, dilate):
    """Dilation, kernel size and sizes of the output, as tuples."""
    n = len(dims)
    assert len(stride) == len(pad) == n and col.ndim == 2 + 2 * n
    return as_tuple(dilate, n), col.shape[2 : 2 + n], col.shape[2 + n :]


def _im2col_cpu(img, ksize, stride, pad, pval, cover_all, dilate, outs=None):
    dilate, outs = _check_img(img, ksize, stride, pad, cover_all, dilate, outs)
    reach = [d * (k - 1) + s * (out - 1) + 1 for d, k, s, out in zip(dilate, ksize, stride, outs)]
    padded = _padded(img, pad, reach, pval)
    steps = padded.strides[2:]
    patches = numpy.lib.stride_tricks.as_strided(
        padded,
        img.shape[:2] + tuple(ksize) + outs,
        (*padded.strides[:2], *(st * d for st, d in zip(steps, dilate)), *(st * s for st, s in zip(steps, stride))),
    )
    return patches.copy()


def _padded(img, pad, reach, pval):
    """`img` with padding in front, and as much behind as makes each size at least `reach`."""
    dims = img.shape[2:]
    if not any(pad) and all(r <= size for r, size in zip(reach, dims)):
        return img
    sizes = tuple(max(p + size, r) for p, size, r in zip(pad, dims, reach))
    padded = numpy.full(img.shape[:2] + sizes, pval, img.dtype)
    padded[_inside(pad, dims)] = img
    return padded


def _inside(pad, dims):
    """Where the image is in its padded form."""
    return _ALL_IMAGES + tuple(slice(p, p + size) for p, size in zip(pad, dims))


def _im2col_gpu(img, ksize, stride, pad, cover_all, dilate, outs=None):
    dilate, outs = _check_img(img, ksize, stride, pad, cover_all, dilate, outs)
    col = cuda.cupy.empty(img.shape[:2] + tuple(ksize) + outs, img.dtype)
    numbers = (*img.shape[2:], *outs, *ksize, *stride, *pad, *dilate)
    conv_nd_kernel.Im2colNDKernel.kernel(img.ndim - 2)(cuda.cupy.ascontiguousarray(img).reduced_view(), *numbers, col)
    return col
