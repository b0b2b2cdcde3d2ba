"""The two networks of DCGAN (Radford et al., 2015): pictures of 64 x 64 pixels from noise, and real from generated."""

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L


class Generator(chainer.Chain):
    """Noise (n, n_z, 1, 1) to pictures (n, n_colours, 64, 64) in [-1, 1], over maps of 4, 8, 16 and 32 pixels.

    Args:
        n_z: size of the noise.
        n_features: channels at 32 pixels; twice as many at each size below.
        n_colours: channels of the pictures.
    """

    def __init__(self, n_z=100, n_features=64, n_colours=3):
        super().__init__()
        w = chainer.initializers.Normal(0.02)
        channels = [n_z, *(n_features * k for k in (8, 4, 2, 1)), n_colours]
        with self.init_scope():
            self.up = chainer.ChainList()
            self.bn = chainer.ChainList(*(L.BatchNormalization(n) for n in channels[1:-1]))
        for stage, (n_in, n_out) in enumerate(zip(channels, channels[1:])):
            stride, pad = (2, 1) if stage else (1, 0)  # 1 -> 4 pixels, then twice as many each time
            self.up.append(L.Deconvolution2D(n_in, n_out, 4, stride, pad, nobias=True, initialW=w))

    def forward(self, z):
        h = z
        for up, bn in zip(self.up, self.bn):
            h = F.relu(bn(up(h)))
        return F.tanh(self.up[-1](h))


class Discriminator(chainer.Chain):
    """Pictures (n, n_colours, 64, 64) to scores (n, 1, 1, 1): before the sigmoid, above 0 for real ones."""

    def __init__(self, n_features=64, n_colours=3):
        super().__init__()
        w = chainer.initializers.Normal(0.02)
        channels = [n_colours, *(n_features * k for k in (1, 2, 4, 8))]
        with self.init_scope():
            self.down = chainer.ChainList(
                *(
                    L.Convolution2D(n_in, n_out, 4, 2, 1, nobias=True, initialW=w)
                    for n_in, n_out in zip(channels, channels[1:])
                )
            )
            self.bn = chainer.ChainList(*(L.BatchNormalization(n) for n in channels[2:]))
            self.score = L.Convolution2D(channels[-1], 1, 4, nobias=True, initialW=w)

    def forward(self, x):
        h = F.leaky_relu(self.down[0](x))
        for down, bn in zip(self.down[1:], self.bn):
            h = F.leaky_relu(bn(down(h)))
        return self.score(h)
