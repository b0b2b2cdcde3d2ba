"""VGG16 and ResNet-152 for images of 224 x 224 pixels, built of blocks.

Both return the scores of 1,000 classes while they are trained, and probabilities otherwise.
"""

import numpy as np

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L


class VGG16(chainer.Chain):
    """Thirteen convolutions in five stages and three linear layers; 138,357,544 parameters (Simonyan, Zisserman, 2014).

    The first linear layer takes its width from the first images: smaller ones make a smaller network.
    """

    def __init__(self, n_classes=1000):
        super().__init__()
        w = chainer.initializers.HeNormal()
        with self.init_scope():
            self.stages = chainer.ChainList()
            self.fc6 = L.Linear(None, 4096, initialW=w)
            self.fc7 = L.Linear(4096, 4096, initialW=w)
            self.fc8 = L.Linear(4096, n_classes, initialW=w)
        n_in = 3
        for n_out, depth in (64, 2), (128, 2), (256, 3), (512, 3), (512, 3):
            stage = chainer.ChainList()
            for _ in range(depth):
                stage.append(L.Convolution2D(n_in, n_out, 3, pad=1, initialW=w))
                n_in = n_out
            self.stages.append(stage)

    def forward(self, x):
        h = x
        for stage in self.stages:
            for conv in stage:
                h = F.relu(conv(h))
            h = F.max_pooling_2d(h, 2)
        h = F.dropout(F.relu(self.fc6(h)))
        h = F.dropout(F.relu(self.fc7(h)))
        h = self.fc8(h)
        return h if chainer.config.train else F.softmax(h)


class Bottleneck(chainer.Chain):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1 beside a shortcut, which is a convolution where the shape changes."""

    def __init__(self, n_in, n_mid, n_out, stride):
        super().__init__()
        w = chainer.initializers.HeNormal()
        self.changes = (n_in, stride) != (n_out, 1)
        with self.init_scope():
            self.conv1 = L.Convolution2D(n_in, n_mid, 1, stride, nobias=True, initialW=w)
            self.bn1 = L.BatchNormalization(n_mid)
            self.conv2 = L.Convolution2D(n_mid, n_mid, 3, pad=1, nobias=True, initialW=w)
            self.bn2 = L.BatchNormalization(n_mid)
            self.conv3 = L.Convolution2D(n_mid, n_out, 1, nobias=True, initialW=w)
            self.bn3 = L.BatchNormalization(n_out)
            if self.changes:
                self.conv4 = L.Convolution2D(n_in, n_out, 1, stride, nobias=True, initialW=w)
                self.bn4 = L.BatchNormalization(n_out)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        h = self.bn3(self.conv3(h))
        return F.relu(h + (self.bn4(self.conv4(x)) if self.changes else x))


class ResNet152(chainer.Chain):
    """Residual network of bottlenecks (He et al., 2015); 60,192,808 parameters.

    Args:
        n_blocks: blocks of the four stages; (3, 4, 6, 3) makes ResNet-50, (3, 4, 23, 3) ResNet-101.
        n_classes: width of the output.
    """

    def __init__(self, n_blocks=(3, 8, 36, 3), n_classes=1000):
        super().__init__()
        w = chainer.initializers.HeNormal()
        blocks, n_in = [], 64
        for stage, n in enumerate(n_blocks):
            n_mid = 64 * 2**stage
            for k in range(n):
                blocks.append(Bottleneck(n_in, n_mid, 4 * n_mid, stride=2 if stage and not k else 1))
                n_in = 4 * n_mid
        with self.init_scope():
            self.conv = L.Convolution2D(3, 64, 7, 2, 3, initialW=w, nobias=True)
            self.bn = L.BatchNormalization(64)
            self.blocks = chainer.ChainList(*blocks)
            self.fc = L.Linear(n_in, n_classes)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.bn(self.conv(x))), 2)
        for block in self.blocks:
            h = block(h)
        h = self.fc(F.average_pooling_2d(h, h.shape[2:]))
        return h if chainer.config.train else F.softmax(h)


def count(model, n_pixels=224):
    """The number of parameters for pictures of that size."""
    with chainer.no_backprop_mode(), chainer.using_config('train', False):
        model(np.zeros((1, 3, n_pixels, n_pixels), np.float32))  # gives parameters without a shape theirs
    return model.count_params()


if __name__ == '__main__':
    for net in VGG16, ResNet152:
        print(f'{net.__name__}: {count(net()):,} parameters')
