from chainlite.functions.connection.deconvolution_2d import deconvolution_2d
from chainlite.links.connection._convolution import ConvolutionLink
from chainlite.utils.argument import parse_kwargs, removed
from chainlite.utils.conv_nd import as_tuple


class Deconvolution2D(ConvolutionLink):
    """Two-dimensional transposed convolution, the gradient of a convolution with respect to its input.

    Args:
        in_channels: Channels of the input; None (or leaving it out) takes them from the first input.
        out_channels: Channels of the output.
        ksize: Size of the filters, a number or a pair (height, width).
        stride: Step of the filters on the output, a number or a pair.
        pad: Border taken off the output, a number or a pair.
        nobias: Whether to leave out the bias.
        outsize: Height and width of the output, where the stride leaves a choice; None for the smallest.
        initialW: Initializer of the filters, LeCunNormal by default.
        initial_bias: Initializer of the bias, 0 by default.
        dilate: Distance of the pixels that a filter writes, a number or a pair (keyword only).
        groups: Number of groups of channels that do not mix (keyword only).

    Attributes:
        W: Filters, (in_channels, out_channels / groups, height, width).
        b: Bias, (out_channels), or None.
    """

    _transposed = True

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize=None,
        stride=1,
        pad=0,
        nobias=False,
        outsize=None,
        initialW=None,
        initial_bias=None,
        **kwargs,
    ):
        super().__init__()
        dilate, groups = parse_kwargs(kwargs, ('dilate', 1), ('groups', 1), **removed('deterministic'))
        if ksize is None:
            out_channels, ksize, in_channels = in_channels, out_channels, None
        self.ksize = ksize
        self.stride = as_tuple(stride, 2)
        self.pad = as_tuple(pad, 2)
        self.dilate = as_tuple(dilate, 2)
        self.outsize = (None, None) if outsize is None else outsize
        self._make_params(2, in_channels, out_channels, ksize, groups, nobias, initialW, initial_bias)

    def forward(self, x):
        """Maps ``x``, (n, in_channels, h, w), to (n, out_channels, oh, ow)."""
        self._prepare(x)
        return deconvolution_2d(
            x, self.W, self.b, self.stride, self.pad, self.outsize, dilate=self.dilate, groups=self.groups
        )
