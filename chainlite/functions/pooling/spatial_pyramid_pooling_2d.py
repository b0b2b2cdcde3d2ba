"""Pooling into a fixed number of elements."""

from chainlite.functions.array.concat import concat
from chainlite.functions.array.reshape import reshape
from chainlite.functions.pooling.max_pooling_nd import max_pooling_2d
from chainlite.variable import as_variable


def spatial_pyramid_pooling_2d(x, pyramid_height, pooling=None):
    """Maximum over the cells of grids of 1, 4, 16, ... cells, so that images of all sizes give equally many elements.

    Args:
        x: float array (n, c, h, w).
        pyramid_height: number of grids.
        pooling: 'max'.

    Returns:
        Variable (n, c (4 ** pyramid_height - 1) / 3, 1, 1).

    Kaiming He et al.: Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition, 2014.
    """
    if pooling != 'max':
        raise ValueError('Unsupported pooling operation: ', pooling)
    x = as_variable(x)
    n, _, h, w = x.shape
    ys = []
    for level in range(pyramid_height):
        cells = 2**level
        ksize = -(-h // cells), -(-w // cells)
        pad = (ksize[0] * cells - h) // 2, (ksize[1] * cells - w) // 2
        ys.append(reshape(max_pooling_2d(x, ksize, ksize, pad, True), (n, -1, 1, 1)))
    return concat(ys)
