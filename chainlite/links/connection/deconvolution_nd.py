from chainlite.functions.connection.deconvolution_nd import deconvolution_nd
from chainlite.links.connection._convolution import ConvolutionLink
from chainlite.utils.conv_nd import as_tuple


class DeconvolutionND(ConvolutionLink):
    """Transposed convolution with any number of spatial dimensions.

    Args:
        ndim: Number of spatial dimensions.
        in_channels: Channels of the input; None takes them from the first input.
        out_channels: Channels of the output.
        ksize: Size of the filters, a number or a tuple of ``ndim`` numbers.
        stride: Step of the filters on the output, likewise.
        pad: Border taken off the output, likewise.
        nobias: Whether to leave out the bias.
        outsize: Tuple of the sizes of the output, where the stride leaves a choice; None for the smallest.
        initialW: Initializer of the filters, LeCunNormal by default.
        initial_bias: Initializer of the bias, 0 by default.
        dilate: Distance of the elements that a filter writes, a number or a tuple.
        groups: Number of groups of channels that do not mix.

    Attributes:
        W: Filters, (in_channels, out_channels / groups, \\*ksize).
        b: Bias, (out_channels), or None.
    """

    _transposed = True

    def __init__(
        self,
        ndim,
        in_channels,
        out_channels,
        ksize=None,
        stride=1,
        pad=0,
        nobias=False,
        outsize=None,
        initialW=None,
        initial_bias=None,
        dilate=1,
        groups=1,
    ):
        super().__init__()
        if ksize is None:
            out_channels, ksize, in_channels = in_channels, out_channels, None
        self.ksize = as_tuple(ksize, ndim)
        self.stride = stride
        self.pad = pad
        self.outsize = outsize
        self.dilate = as_tuple(dilate, ndim)
        self._make_params(ndim, in_channels, out_channels, ksize, groups, nobias, initialW, initial_bias)

    def forward(self, x):
        """Maps ``x``, (n, in_channels, \\*d), to (n, out_channels, \\*o)."""
        self._prepare(x)
        return deconvolution_nd(
            x, self.W, self.b, self.stride, self.pad, self.outsize, dilate=self.dilate, groups=self.groups
        )


class Deconvolution1D(DeconvolutionND):
    """One-dimensional transposed convolution: :class:`DeconvolutionND` with ``ndim=1``."""

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize,
        stride=1,
        pad=0,
        nobias=False,
        outsize=None,
        initialW=None,
        initial_bias=None,
        dilate=1,
        groups=1,
    ):
        super().__init__(
            1, in_channels, out_channels, ksize, stride, pad, nobias, outsize, initialW, initial_bias, dilate, groups
        )


class Deconvolution3D(DeconvolutionND):
    """Three-dimensional transposed convolution: :class:`DeconvolutionND` with ``ndim=3``."""

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize,
        stride=1,
        pad=0,
        nobias=False,
        outsize=None,
        initialW=None,
        initial_bias=None,
        dilate=1,
        groups=1,
    ):
        super().__init__(
            3, in_channels, out_channels, ksize, stride, pad, nobias, outsize, initialW, initial_bias, dilate, groups
        )
