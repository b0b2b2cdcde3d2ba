"""What the nodes of two-dimensional pooling share."""

from chainlite.functions.pooling.pooling_nd import _PoolingND


class TwoDimensional:
    """Chainer's names for the numbers of a two-dimensional window."""

    kh, kw = property(lambda self: self.ksize[0]), property(lambda self: self.ksize[1])
    sy, sx = property(lambda self: self.stride[0]), property(lambda self: self.stride[1])
    ph, pw = property(lambda self: self.pad[0]), property(lambda self: self.pad[1])


class Pooling2D(TwoDimensional, _PoolingND):
    """Base of functions that pool over windows of images (n, c, h, w)."""

    def __init__(self, ksize, stride=None, pad=0, cover_all=True, return_indices=False):
        super().__init__(2, ksize, stride, pad, cover_all, return_indices)

    def _check_positive(self, outs):
        assert outs[0] > 0, 'Height in the output should be positive.'
        assert outs[1] > 0, 'Width in the output should be positive.'
