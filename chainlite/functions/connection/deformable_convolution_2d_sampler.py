"""Convolution whose windows take elements at learned places."""

import numpy as np

from chainlite import backend
from chainlite.functions.array.cast import cast
from chainlite.functions.array.concat import concat
from chainlite.functions.array.pad import pad as pad_array
from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.spatial_transformer_sampler import spatial_transformer_sampler
from chainlite.functions.connection.convolution_2d import convolution_2d
from chainlite.utils.conv_nd import as_tuple
from chainlite.variable import as_variable


def deformable_convolution_2d_sampler(x, offset, W, b=None, stride=1, pad=0):
    """Two-dimensional convolution in which each element that a window takes is moved, by bilinear interpolation.

    Args:
        x: float array (n, c, h, w).
        offset: float array (n, 2 kh kw, oh, ow): for each element of each window how far it is to the right, then how
            far down.
        W: float array (m, c, kh, kw), the filters.
        b: float array (m), the bias, or None.
        stride, pad: int or pair of ints: step of the window, zeros on each side of x.

    Returns:
        Variable (n, m, oh, ow).

    Jifeng Dai et al.: Deformable Convolutional Networks, 2017.
    """
    x, offset, W = as_variable(x), as_variable(offset), as_variable(W)
    (sy, sx), (ph, pw) = as_tuple(stride, 2), as_tuple(pad, 2)
    n, c, h, w = x.shape
    m, _, kh, kw = W.shape
    k, (oh, ow) = kh * kw, offset.shape[2:]
    if offset.shape[1] != 2 * k:
        raise ValueError('The shape of the offset does not match the kernel size')
    dtype, wide = x.dtype, 'f' if x.dtype.itemsize == 2 else x.dtype  # places need more than 16 bits
    x, offset = pad_array(cast(x, wide), ((0, 0), (0, 0), (ph, ph), (pw, pw)), 'constant'), cast(offset, wide)
    xp = backend.get_array_module(x.array)
    rows = np.arange(kh)[:, None, None, None] + np.arange(oh)[:, None] * sy  # (kh, 1, oh, 1)
    columns = np.arange(kw)[:, None, None] + np.arange(ow) * sx  # (kw, 1, ow)
    grids = []
    for places, moved, size in (columns, offset[:, :k], w + 2 * pw), (rows, offset[:, k:], h + 2 * ph):
        places = xp.asarray(np.broadcast_to(places, (kh, kw, oh, ow)).reshape(1, k, oh, ow), x.dtype)
        grids.append(
            reshape((moved + xp.broadcast_to(places, moved.shape)) * (2 / max(size - 1, 1)) - 1, (n, 1, k * oh, ow))
        )
    taken = reshape(cast(spatial_transformer_sampler(x, concat(grids, axis=1)), dtype), (n, c * k, oh, ow))
    return convolution_2d(taken, reshape(W, (m, c * k, 1, 1)), b)
