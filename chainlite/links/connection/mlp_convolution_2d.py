from chainlite.functions.activation.relu import relu
from chainlite.link import ChainList
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.utils.argument import parse_kwargs

_NO_WSCALE = (
    'wscale is not supported anymore. Use conv_init and bias_init argument to change the scale of initial parameters.'
)


class MLPConvolution2D(ChainList):
    """Convolution followed by a multilayer perceptron at each pixel: a chain of 1 x 1 convolutions.

    Args:
        in_channels: Channels of the input; None (or leaving it out) takes them from the first input.
        out_channels: Tuple of the channels after each layer.
        ksize: Size of the first layer's filters, a number or a pair (height, width).
        stride: Step of the first layer's filters.
        pad: Zeros around the input.
        activation: Function between the layers; None for none.
        conv_init: Initializer of the filters (keyword only).
        bias_init: Initializer of the biases (keyword only).

    See: Lin et al., Network in Network, https://arxiv.org/abs/1312.4400
    """

    def __init__(self, in_channels, out_channels, ksize=None, stride=1, pad=0, activation=relu, *args, **kwargs):
        if args:
            raise TypeError(_NO_WSCALE)
        conv_init, bias_init = parse_kwargs(kwargs, ('conv_init', None), ('bias_init', None), wscale=_NO_WSCALE)
        if ksize is None:
            out_channels, ksize, in_channels = in_channels, out_channels, None
        first, *rest = out_channels
        super().__init__(
            Convolution2D(in_channels, first, ksize, stride, pad, initialW=conv_init, initial_bias=bias_init)
        )
        for n_in, n_out in zip(out_channels, rest):
            self.add_link(Convolution2D(n_in, n_out, 1, initialW=conv_init, initial_bias=bias_init))
        self.activation = activation

    def forward(self, x):
        """Maps ``x``, (n, in_channels, h, w), to (n, out_channels[-1], oh, ow)."""
        *layers, last = self
        for layer in layers:
            x = layer(x)
            if self.activation is not None:
                x = self.activation(x)
        return last(x)
