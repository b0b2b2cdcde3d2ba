"""What functions of windows share: convolution and pooling, in any number of dimensions."""


class TwoDimensional:
    """Chainer's names for the numbers of a two-dimensional window."""

    kh, kw = property(lambda self: self.ksize[0]), property(lambda self: self.ksize[1])
    sy, sx = property(lambda self: self.stride[0]), property(lambda self: self.stride[1])
    ph, pw = property(lambda self: self.pad[0]), property(lambda self: self.pad[1])
    dy, dx = property(lambda self: self.dilate[0]), property(lambda self: self.dilate[1])


class TwoDimensionalTransposed(TwoDimensional):
    """The same where windows are written, and `outs`, the sizes of the result, may be unknown at first."""

    outh = property(lambda self: self.outs and self.outs[0])
    outw = property(lambda self: self.outs and self.outs[1])


def check_ndim(x, ndim):
    """For the functions of a fixed number of dimensions."""
    if x.ndim != ndim + 2:
        raise ValueError(
            "The number of dimensions under channel dimension of the input 'x' should be "
            f'{ndim}. But the actual ndim was {x.ndim - 2}.'
        )
