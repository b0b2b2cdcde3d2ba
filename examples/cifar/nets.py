"""Networks for images of 32 x 32 pixels: LeNet-5, a net for two classes, residual networks and their plain twins.

All return the classes' scores before softmax, float arrays (n, classes) for images (n, 3, 32, 32).
"""

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L


class LeNet5(chainer.Chain):
    """LeNet-5 for colour images, with relu and max pooling; 62,006 parameters (LeCun et al., 1998)."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(3, 6, 5)
            self.conv2 = L.Convolution2D(6, 16, 5)
            self.fc1 = L.Linear(16 * 5 * 5, 120)
            self.fc2 = L.Linear(120, 84)
            self.fc3 = L.Linear(84, 10)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.conv1(x)), 2)
        h = F.max_pooling_2d(F.relu(self.conv2(h)), 2)
        h = F.relu(self.fc1(h))  # Linear flattens (n, 16, 5, 5) to (n, 400)
        return self.fc3(F.relu(self.fc2(h)))


class TwoClassNet(chainer.Chain):
    """A small net of tanh and max pooling that tells two classes apart; 18,090 parameters."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(3, 16, 3, pad=1)
            self.conv2 = L.Convolution2D(16, 8, 3, pad=1)
            self.fc1 = L.Linear(8 * 8 * 8, 32)
            self.fc2 = L.Linear(32, 2)

    def forward(self, x):
        h = F.max_pooling_2d(F.tanh(self.conv1(x)), 2)
        h = F.max_pooling_2d(F.tanh(self.conv2(h)), 2)
        return self.fc2(F.tanh(self.fc1(h)))


class Block(chainer.Chain):
    """Two convolutions of 3 x 3, each with batch normalization and relu.

    Args:
        n_in, n_out: channels.
        stride: of the first convolution.
        residual: whether the input is added before the last relu.
    """

    def __init__(self, n_in, n_out, stride, residual):
        super().__init__()
        self.more, self.stride, self.residual = n_out - n_in, stride, residual
        w = chainer.initializers.HeNormal(fan_option='fan_out')
        with self.init_scope():
            self.conv1 = L.Convolution2D(n_in, n_out, 3, stride, 1, nobias=True, initialW=w)
            self.bn1 = L.BatchNormalization(n_out)
            self.conv2 = L.Convolution2D(n_out, n_out, 3, 1, 1, nobias=True, initialW=w)
            self.bn2 = L.BatchNormalization(n_out)

    def shortcut(self, x):
        """The input in the shape of the output, without parameters: channels of zeros, then max pooling."""
        if not self.more:
            return x
        x = F.pad(x, ((0, 0), (0, self.more), (0, 0), (0, 0)), 'constant')
        return F.max_pooling_2d(x, 2, self.stride)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        return F.relu(h + self.shortcut(x) if self.residual else h)


class ResNet(chainer.Chain):
    """Residual network for CIFAR of 6 n + 2 layers (He et al., 2015); with ``residual=False``, its plain twin.

    A convolution to 16 channels, then n blocks each of 16, 32 and 64 channels at 32, 16 and 8 pixels, the mean over the
    pixels and a linear layer. n = 3, 5, 7, 9, 18 makes ResNet-20, 32, 44, 56, 110.
    """

    def __init__(self, n, residual=True, n_classes=10):
        super().__init__()
        w = chainer.initializers.HeNormal(fan_option='fan_out')
        blocks = [Block(16, 16, 1, residual) for _ in range(n)]
        for n_in in (16, 32):
            blocks += [Block(n_in, 2 * n_in, 2, residual)]
            blocks += [Block(2 * n_in, 2 * n_in, 1, residual) for _ in range(n - 1)]
        with self.init_scope():
            self.conv = L.Convolution2D(3, 16, 3, 1, 1, nobias=True, initialW=w)
            self.bn = L.BatchNormalization(16)
            self.blocks = chainer.ChainList(*blocks)
            self.fc = L.Linear(64, n_classes)

    def forward(self, x):
        h = F.relu(self.bn(self.conv(x)))
        for block in self.blocks:
            h = block(h)
        return self.fc(F.average_pooling_2d(h, h.shape[2:]))


def resnet(layers, residual=True):
    """ResNet-20, 32, 44, 56 or 110, or the plain network of that depth."""
    if layers not in (20, 32, 44, 56, 110):
        raise ValueError(f'layers must be 20, 32, 44, 56 or 110, not {layers}')
    return ResNet((layers - 2) // 6, residual)
