from chainlite import initializers
from chainlite.functions.connection.local_convolution_2d import local_convolution_2d
from chainlite.links._lazy import LazyLink
from chainlite.utils.conv_nd import as_tuple, get_conv_outsize
from chainlite.variable import Parameter


class LocalConvolution2D(LazyLink):
    """Two-dimensional convolution with filters of its own at each position.

    Args:
        in_channels: Channels of the input; None takes them, and ``in_size``, from the first input.
        out_channels: Channels of the output.
        in_size: Size of the input, a number or a pair (height, width); None takes it from the first input.
        ksize: Size of the filters, a number or a pair.
        stride: Step of the filters, a number or a pair.
        nobias: Whether to leave out the bias.
        initialW: Initializer of the filters, LeCunNormal by default.
        initial_bias: Initializer of the bias, 0 by default.
        kwargs: Ignored.

    Attributes:
        W: Filters, (out_channels, oh, ow, in_channels, height, width).
        b: Bias, (out_channels, oh, ow), or None.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        in_size=None,
        ksize=None,
        stride=1,
        nobias=False,
        initialW=None,
        initial_bias=None,
        **kwargs,
    ):
        super().__init__()
        if ksize is None:
            out_channels, ksize, in_channels = in_channels, out_channels, None
        self.ksize = ksize
        self.stride = as_tuple(stride, 2)
        self.nobias = nobias
        self.out_channels = out_channels
        with self.init_scope():
            self.W = Parameter(initializers._get_initializer(initialW))
            self.b = None if nobias else Parameter(initializers._get_initializer(initial_bias, 0))
        if in_channels is not None and in_size is not None:
            self._initialize_params((in_channels, *as_tuple(in_size, 2)))

    def _input_size(self, x):
        return x.shape[1:]

    def _initialize_params(self, size):
        in_channels, *in_size = size
        ksize = as_tuple(self.ksize, 2)
        out_size = [get_conv_outsize(n, k, s, 0) for n, k, s in zip(in_size, ksize, self.stride)]
        self.W.initialize((self.out_channels, *out_size, in_channels, *ksize))
        if self.b is not None:
            self.b.initialize((self.out_channels, *out_size))

    def forward(self, x):
        """Convolves ``x``, (n, in_channels, h, w), into (n, out_channels, oh, ow)."""
        self._prepare(x)
        return local_convolution_2d(x, self.W, self.b, self.stride)
