from chainlite.functions.connection.convolution_nd import convolution_nd
from chainlite.links.connection._convolution import FromFilters
from chainlite.utils.conv_nd import as_tuple


class ConvolutionND(FromFilters):
    """Convolution with any number of spatial dimensions.

    Args:
        ndim: Number of spatial dimensions.
        in_channels: Channels of the input; None takes them from the first input.
        out_channels: Channels of the output.
        ksize: Size of the filters, a number or a tuple of ``ndim`` numbers.
        stride: Step of the filters, likewise.
        pad: Zeros around the input, likewise.
        nobias: Whether to leave out the bias.
        initialW: Initializer of the filters, LeCunNormal by default.
        initial_bias: Initializer of the bias, 0 by default.
        cover_all: Whether every element of the input is seen, with more padding at the end if needed.
        dilate: Distance of the elements that a filter sees, a number or a tuple.
        groups: Number of groups of channels that do not mix.

    Attributes:
        W: Filters, (out_channels, in_channels / groups, \\*ksize).
        b: Bias, (out_channels), or None.
    """

    def __init__(
        self,
        ndim,
        in_channels,
        out_channels,
        ksize=None,
        stride=1,
        pad=0,
        nobias=False,
        initialW=None,
        initial_bias=None,
        cover_all=False,
        dilate=1,
        groups=1,
    ):
        super().__init__()
        if ksize is None:
            out_channels, ksize, in_channels = in_channels, out_channels, None
        self.ksize = as_tuple(ksize, ndim)
        self.stride = stride
        self.pad = pad
        self.cover_all = cover_all
        self.dilate = as_tuple(dilate, ndim)
        self._make_params(ndim, in_channels, out_channels, ksize, groups, nobias, initialW, initial_bias)

    def forward(self, x):
        """Convolves ``x``, (n, in_channels, \\*d), into (n, out_channels, \\*o)."""
        self._prepare(x)
        return convolution_nd(
            x, self.W, self.b, self.stride, self.pad, cover_all=self.cover_all, dilate=self.dilate, groups=self.groups
        )


class Convolution1D(ConvolutionND):
    """One-dimensional convolution: :class:`ConvolutionND` with ``ndim=1``."""

    _ndim = 1

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize,
        stride=1,
        pad=0,
        nobias=False,
        initialW=None,
        initial_bias=None,
        cover_all=False,
        dilate=1,
        groups=1,
    ):
        super().__init__(
            1, in_channels, out_channels, ksize, stride, pad, nobias, initialW, initial_bias, cover_all, dilate, groups
        )


class Convolution3D(ConvolutionND):
    """Three-dimensional convolution: :class:`ConvolutionND` with ``ndim=3``."""

    _ndim = 3

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize,
        stride=1,
        pad=0,
        nobias=False,
        initialW=None,
        initial_bias=None,
        cover_all=False,
        dilate=1,
        groups=1,
    ):
        super().__init__(
            3, in_channels, out_channels, ksize, stride, pad, nobias, initialW, initial_bias, cover_all, dilate, groups
        )
