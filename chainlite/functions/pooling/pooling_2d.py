"""What the nodes of two-dimensional pooling share."""

from chainlite.functions._windows import TwoDimensional
from chainlite.functions.pooling.pooling_nd import _PoolingND


class Pooling2D(TwoDimensional, _PoolingND):
    """Base of functions that pool over windows of images (n, c, h, w)."""

    def __init__(self, ksize, stride=None, pad=0, cover_all=True, return_indices=False):
        super().__init__(2, ksize, stride, pad, cover_all, return_indices)

    def _check_positive(self, outs):
        assert outs[0] > 0, 'Height in the output should be positive.'
        assert outs[1] > 0, 'Width in the output should be positive.'
