"""The transpose of summing over windows of an image."""

from chainlite.functions._windows import TwoDimensionalTransposed
from chainlite.functions.pooling.pooling_2d import Pooling2D
from chainlite.functions.pooling.unpooling_nd import Unpooling
from chainlite.utils import type_check


class Unpooling2D(TwoDimensionalTransposed, Pooling2D, Unpooling):
    def __init__(self, ksize, stride=None, pad=0, outsize=None, cover_all=True):
        super().__init__(ksize, stride, pad, cover_all)
        self._set_outs(outsize)

    def _check_shape(self, x):
        oh, ow = self._expected()
        type_check.expect(x.shape[2] == oh, x.shape[3] == ow)


def unpooling_2d(x, ksize, stride=None, pad=0, outsize=None, cover_all=True):
    """Two-dimensional unpooling: `unpooling_nd` for x (n, c, h, w)."""
    return Unpooling2D(ksize, stride, pad, outsize, cover_all).apply((x,))[0]
