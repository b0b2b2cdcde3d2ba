from chainlite.functions.connection.convolution_2d import Convolution2DFunction
from chainlite.links.connection._convolution import FromFilters
from chainlite.utils.argument import parse_kwargs, removed
from chainlite.utils.conv_nd import as_tuple


class Convolution2D(FromFilters):
    """Two-dimensional convolution.

    Args:
        in_channels: Channels of the input; None (or leaving it out: ``Convolution2D(16, 3)``) takes them from the first
            input.
        out_channels: Channels of the output.
        ksize: Size of the filters, a number or a pair (height, width).
        stride: Step of the filters, a number or a pair.
        pad: Zeros around the input, a number or a pair.
        nobias: Whether to leave out the bias.
        initialW: Initializer of the filters, LeCunNormal by default.
        initial_bias: Initializer of the bias, 0 by default.
        dilate: Distance of the pixels that a filter sees, a number or a pair (keyword only).
        groups: Number of groups of channels that do not mix (keyword only).

    Attributes:
        W: Filters, (out_channels, in_channels / groups, height, width).
        b: Bias, (out_channels), or None.
    """

    _ndim = 2

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize=None,
        stride=1,
        pad=0,
        nobias=False,
        initialW=None,
        initial_bias=None,
        **kwargs,
    ):
        super().__init__()
        dilate, groups = parse_kwargs(kwargs, ('dilate', 1), ('groups', 1), **removed('deterministic'))
        if ksize is None:
            out_channels, ksize, in_channels = in_channels, out_channels, None
        self.in_channels = in_channels
        self.ksize = ksize
        self.stride = as_tuple(stride, 2)
        self.pad = as_tuple(pad, 2)
        self.dilate = as_tuple(dilate, 2)
        self._make_params(2, in_channels, out_channels, ksize, groups, nobias, initialW, initial_bias)

    @property
    def printable_specs(self):
        for name in ('in_channels', 'out_channels', 'ksize', 'stride', 'pad'):
            yield name, getattr(self, name)
        yield 'nobias', self.b is None
        yield 'dilate', self.dilate
        yield 'groups', self.groups

    def forward(self, x):
        """Convolves ``x``, (n, in_channels, h, w), into (n, out_channels, oh, ow)."""
        self._prepare(x)
        function = Convolution2DFunction(self.stride, self.pad, False, self.dilate, self.groups)
        return function.apply((x, self.W) if self.b is None else (x, self.W, self.b))[0]
