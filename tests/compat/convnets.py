"""A program written for Chainer: the convolutional networks that its tutorial builds, in words of our own."""

from functools import partial

import chainer
import chainer.functions as F
import chainer.links as L

pool = partial(F.max_pooling_2d, ksize=2, stride=2)


class LeNet5(chainer.Chain):
    """Three convolutions and two linear layers; class scores while training, probabilities otherwise."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.c1 = L.Convolution2D(1, 6, 5)
            self.c2 = L.Convolution2D(6, 16, 5)
            self.c3 = L.Convolution2D(16, 120, 4)
            self.l4 = L.Linear(84)
            self.l5 = L.Linear(84, 10)

    def forward(self, x):
        x = pool(F.sigmoid(self.c1(x)))
        x = pool(F.sigmoid(self.c2(x)))
        x = F.sigmoid(self.l4(F.sigmoid(self.c3(x))))
        x = self.l5(x)
        return x if chainer.config.train else F.softmax(x)


class LeNet5AsList(chainer.Chain):
    """Links and functions in one list; the last pooling works on a 1 x 1 map, as cover_all lets it."""

    def __init__(self):
        super().__init__()
        self.layers = [L.Convolution2D(1, 6, 5), F.sigmoid, pool, L.Convolution2D(6, 16, 5), F.sigmoid, pool]
        self.layers += [L.Convolution2D(16, 120, 4), F.sigmoid, pool, L.Linear(84), F.sigmoid, L.Linear(84, 10)]
        with self.init_scope():
            for number, layer in enumerate(self.layers):
                if isinstance(layer, chainer.Link):
                    setattr(self, f'layer{number}', layer)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x if chainer.config.train else F.softmax(x)


def LeNet5AsSequential():
    layers = [L.Convolution2D(1, 6, 5), F.sigmoid, pool, L.Convolution2D(6, 16, 5), F.sigmoid, pool]
    layers += [L.Convolution2D(16, 120, 4), F.sigmoid, L.Linear(84), F.sigmoid, L.Linear(84, 10)]
    return chainer.Sequential(*layers, lambda x: x if chainer.config.train else F.softmax(x))


class VGGStage(chainer.ChainList):
    """Some 3 x 3 convolutions, then pooling by 2."""

    def __init__(self, channels, n):
        conv = partial(L.Convolution2D, None, channels, 3, pad=1, initialW=chainer.initializers.HeNormal())
        super().__init__(*(conv() for _ in range(n)))

    def forward(self, x):
        for conv in self:
            x = F.relu(conv(x))
        return F.max_pooling_2d(x, 2)


class VGG16(chainer.Chain):
    def __init__(self):
        super().__init__()
        linear = partial(L.Linear, initialW=chainer.initializers.HeNormal())
        stages = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
        with self.init_scope():
            self.stages = chainer.Sequential(*(VGGStage(*stage) for stage in stages))
            self.l1, self.l2, self.l3 = linear(None, 4096), linear(4096, 4096), linear(4096, 1000)

    def forward(self, x):
        x = self.stages(x)
        x = F.dropout(F.relu(self.l1(x)))
        x = F.dropout(F.relu(self.l2(x)))
        x = self.l3(x)
        return x if chainer.config.train else F.softmax(x)


class ConvBN(chainer.Chain):
    """A convolution without bias, and batch normalization."""

    def __init__(self, n_in, n_out, ksize, stride=1, pad=0):
        super().__init__()
        w = chainer.initializers.HeNormal()
        with self.init_scope():
            self.conv = L.Convolution2D(n_in, n_out, ksize, stride, pad, nobias=True, initialW=w)
            self.bn = L.BatchNormalization(n_out)

    def forward(self, x):
        return self.bn(self.conv(x))


class Residual(chainer.Chain):
    """1 x 1, 3 x 3, 1 x 1 convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, n_in, n_mid, n_out, stride=1):
        super().__init__()
        with self.init_scope():
            self.a = ConvBN(n_in, n_mid, 1, stride)
            self.b = ConvBN(n_mid, n_mid, 3, pad=1)
            self.c = ConvBN(n_mid, n_out, 1)
            if (n_in, 1) != (n_out, stride):
                self.shortcut = ConvBN(n_in, n_out, 1, stride)

    def forward(self, x):
        y = self.c(F.relu(self.b(F.relu(self.a(x)))))
        return F.relu(y + (self.shortcut(x) if hasattr(self, 'shortcut') else x))


class ResNet152(chainer.Chain):
    def __init__(self):
        super().__init__()
        blocks, n_in = [], 64
        for stage, n in enumerate([3, 8, 36, 3]):
            n_mid = 64 << stage
            for k in range(n):
                blocks.append(Residual(n_in, n_mid, 4 * n_mid, stride=2 if stage and not k else 1))
                n_in = 4 * n_mid
        with self.init_scope():
            self.stem = ConvBN(None, 64, 7, 2, 3)
            self.blocks = chainer.Sequential(*blocks)
            self.top = L.Linear(n_in, 1000)

    def forward(self, x):
        x = self.blocks(F.max_pooling_2d(F.relu(self.stem(x)), 2))
        x = self.top(F.average_pooling_2d(x, x.shape[2:]))
        return x if chainer.config.train else F.softmax(x)
