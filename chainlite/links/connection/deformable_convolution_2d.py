from chainlite.functions.connection.deformable_convolution_2d_sampler import deformable_convolution_2d_sampler
from chainlite.link import Chain
from chainlite.links.connection._convolution import ConvolutionLink
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.utils.conv_nd import as_tuple


class DeformableConvolution2D(Chain):
    """Two-dimensional convolution whose filters sample the image at learned offsets.

    An ordinary convolution, ``offset_conv``, computes for each position where the filter's pixels are taken from.

    Args:
        in_channels: Channels of the input; None takes them from the first input.
        out_channels: Channels of the output.
        ksize: Size of the filters, a number or a pair (height, width).
        stride: Step of the filters, a number or a pair.
        pad: Zeros around the input, a number or a pair.
        offset_nobias, deform_nobias: Whether to leave out the bias, of the offsets and of the convolution.
        offset_initialW, deform_initialW: Initializers of the filters, LeCunNormal and 0 by default.
        offset_initial_bias, deform_initial_bias: Initializers of the biases, 0 by default.

    See: Dai et al., Deformable Convolutional Networks, https://arxiv.org/abs/1703.06211
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize,
        stride=1,
        pad=0,
        offset_nobias=False,
        offset_initialW=None,
        offset_initial_bias=None,
        deform_nobias=False,
        deform_initialW=None,
        deform_initial_bias=None,
    ):
        super().__init__()
        kh, kw = as_tuple(ksize, 2)
        with self.init_scope():
            self.offset_conv = Convolution2D(
                in_channels, 2 * kh * kw, ksize, stride, pad, offset_nobias, offset_initialW, offset_initial_bias
            )
            self.deform_conv = DeformableConvolution2DSampler(
                in_channels, out_channels, ksize, stride, pad, deform_nobias, deform_initialW, deform_initial_bias
            )

    def forward(self, x):
        """Convolves ``x``, (n, in_channels, h, w), into (n, out_channels, oh, ow)."""
        return self.deform_conv(x, self.offset_conv(x))


class DeformableConvolution2DSampler(ConvolutionLink):
    """The second half of :class:`DeformableConvolution2D`: convolves an image at given offsets. Filters start as 0."""

    def __init__(
        self, in_channels, out_channels, ksize, stride=1, pad=0, nobias=False, initialW=None, initial_bias=None
    ):
        super().__init__()
        self.ksize = ksize
        self.stride = as_tuple(stride, 2)
        self.pad = as_tuple(pad, 2)
        self._make_params(
            2, in_channels, out_channels, ksize, 1, nobias, 0 if initialW is None else initialW, initial_bias
        )

    def _input_size(self, x, offset):
        return x.shape[1]

    def forward(self, x, offset):
        """Convolves ``x``, (n, in_channels, h, w), at ``offset``, (n, 2 kh kw, oh, ow)."""
        self._prepare(x, offset)
        return deformable_convolution_2d_sampler(x, offset, self.W, self.b, self.stride, self.pad)
