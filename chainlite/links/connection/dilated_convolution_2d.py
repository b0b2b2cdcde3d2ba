from chainlite.functions.connection.dilated_convolution_2d import dilated_convolution_2d
from chainlite.links.connection._convolution import ConvolutionLink
from chainlite.utils.conv_nd import as_tuple


class DilatedConvolution2D(ConvolutionLink):
    """Two-dimensional convolution whose filters see every ``dilate``-th pixel.

    :class:`~chainlite.links.Convolution2D` takes ``dilate`` as well; the arguments are the same, but that here it is
    positional, and that there are no groups.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize=None,
        stride=1,
        pad=0,
        dilate=1,
        nobias=False,
        initialW=None,
        initial_bias=None,
    ):
        super().__init__()
        if ksize is None:
            out_channels, ksize, in_channels = in_channels, out_channels, None
        self.ksize = ksize
        self.stride = as_tuple(stride, 2)
        self.pad = as_tuple(pad, 2)
        self.dilate = as_tuple(dilate, 2)
        self._make_params(2, in_channels, out_channels, ksize, 1, nobias, initialW, initial_bias)

    def forward(self, x):
        """Convolves ``x``, (n, in_channels, h, w), into (n, out_channels, oh, ow)."""
        self._prepare(x)
        return dilated_convolution_2d(x, self.W, self.b, self.stride, self.pad, self.dilate)
