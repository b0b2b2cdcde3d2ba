from chainlite.functions.activation.relu import relu
from chainlite.functions.array.concat import concat
from chainlite.functions.pooling.max_pooling_2d import max_pooling_2d
from chainlite.link import Chain
from chainlite.links.connection.convolution_2d import Convolution2D


class Inception(Chain):
    """Inception module of GoogLeNet: four branches whose channels are concatenated.

    Args:
        in_channels: Channels of the input; None takes them from the first input.
        out1: Output channels of the 1 x 1 branch.
        proj3, out3: Channels inside the 3 x 3 branch, and at its end.
        proj5, out5: Channels inside the 5 x 5 branch, and at its end.
        proj_pool: Output channels of the pooling branch.
        conv_init: Initializer of the filters, LeCunNormal by default.
        bias_init: Initializer of the biases, 0 by default.

    See: Szegedy et al., Going Deeper with Convolutions, https://arxiv.org/abs/1409.4842
    """

    def __init__(self, in_channels, out1, proj3, out3, proj5, out5, proj_pool, conv_init=None, bias_init=None):
        super().__init__()

        def convolution(n_in, n_out, ksize):
            return Convolution2D(n_in, n_out, ksize, pad=ksize // 2, initialW=conv_init, initial_bias=bias_init)

        with self.init_scope():
            self.conv1 = convolution(in_channels, out1, 1)
            self.proj3 = convolution(in_channels, proj3, 1)
            self.conv3 = convolution(proj3, out3, 3)
            self.proj5 = convolution(in_channels, proj5, 1)
            self.conv5 = convolution(proj5, out5, 5)
            self.projp = convolution(in_channels, proj_pool, 1)

    def forward(self, x):
        """Maps ``x``, (n, in_channels, h, w), to (n, out1 + out3 + out5 + proj_pool, h, w)."""
        return relu(
            concat(
                (
                    self.conv1(x),
                    self.conv3(relu(self.proj3(x))),
                    self.conv5(relu(self.proj5(x))),
                    self.projp(max_pooling_2d(x, 3, stride=1, pad=1)),
                )
            )
        )
