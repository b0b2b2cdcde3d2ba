from math import sqrt

from chainlite import initializers
from chainlite.functions.connection.depthwise_convolution_2d import depthwise_convolution_2d
from chainlite.links._lazy import LazyLink
from chainlite.utils.conv_nd import as_tuple
from chainlite.variable import Parameter


class DepthwiseConvolution2D(LazyLink):
    """Two-dimensional convolution of each channel by itself.

    Args:
        in_channels: Channels of the input; None takes them from the first input.
        channel_multiplier: Output channels for each input channel.
        ksize: Size of the filters, a number or a pair (height, width).
        stride: Step of the filters, a number or a pair.
        pad: Zeros around the input, a number or a pair.
        nobias: Whether to leave out the bias.
        initialW: Initializer of the filters, HeNormal(1 / sqrt(2)) by default.
        initial_bias: Initializer of the bias, 0 by default.

    Attributes:
        W: Filters, (channel_multiplier, in_channels, height, width).
        b: Bias, (in_channels * channel_multiplier), or None.

    See: Chollet, Xception, https://arxiv.org/abs/1610.02357
    """

    def __init__(
        self, in_channels, channel_multiplier, ksize, stride=1, pad=0, nobias=False, initialW=None, initial_bias=None
    ):
        super().__init__()
        self.ksize = ksize
        self.stride = as_tuple(stride, 2)
        self.pad = as_tuple(pad, 2)
        self.channel_multiplier = channel_multiplier
        self.nobias = nobias
        if initialW is None:
            initialW = initializers.HeNormal(1 / sqrt(2))
        with self.init_scope():
            self.W = Parameter(initializers._get_initializer(initialW))
            self.b = None if nobias else Parameter(initializers._get_initializer(initial_bias, 0))
        if in_channels is not None:
            self._initialize_params(in_channels)

    def _initialize_params(self, in_channels):
        self.W.initialize((self.channel_multiplier, in_channels, *as_tuple(self.ksize, 2)))
        if self.b is not None:
            self.b.initialize(self.channel_multiplier * in_channels)

    def forward(self, x):
        """Convolves ``x``, (n, in_channels, h, w), into (n, in_channels * channel_multiplier, oh, ow)."""
        self._prepare(x)
        return depthwise_convolution_2d(x, self.W, self.b, self.stride, self.pad)
