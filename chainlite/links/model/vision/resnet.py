import os

from chainlite.dataset import download
from chainlite.functions.activation.relu import relu
from chainlite.functions.activation.softmax import softmax
from chainlite.functions.array.reshape import reshape
from chainlite.functions.pooling.average_pooling_2d import average_pooling_2d
from chainlite.functions.pooling.max_pooling_2d import max_pooling_2d
from chainlite.initializers import HeNormal, Zero
from chainlite.link import Chain
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.links.connection.linear import Linear
from chainlite.links.model.vision import _pretrained, _torchvision
from chainlite.links.normalization.batch_normalization import BatchNormalization
from chainlite.serializers import npz

_MEAN = (103.063, 115.903, 123.152)
_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


__getattr__ = _pretrained.module_with_available(__name__)


class ResNetLayers(_pretrained.PretrainedClassifier):
    """Residual network of 50, 101 or 152 layers.

    Args:
        pretrained_model: ``'auto'`` for the published weights: the caffemodel must have been put in the cache, is
            converted once, and the npz is used from then on; the path of an npz file, of a caffemodel or of
            torchvision's weights (see :mod:`_torchvision`), which decide on ``downsample_fb`` themselves; None for
            random weights.
        n_layers: 50, 101 or 152.
        downsample_fb: Whether the 3 x 3 convolution of a block has its stride, as in Facebook's implementation, instead
            of the first 1 x 1 convolution.

    See: He et al., Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385
    """

    _mean = _MEAN

    def __init__(self, pretrained_model, n_layers, downsample_fb=False):
        if n_layers not in _BLOCKS:
            raise ValueError(f'The n_layers argument should be either 50, 101, or 152, but {n_layers} was given.')
        super().__init__()
        self._n_layers = n_layers
        initialW = Zero() if pretrained_model else HeNormal(scale=1.0)
        arguments = {'initialW': initialW, 'downsample_fb': downsample_fb}
        blocks = _BLOCKS[n_layers]
        with self.init_scope():
            self.conv1 = Convolution2D(3, 64, 7, 2, 3, initialW=initialW)
            self.bn1 = BatchNormalization(64)
            self.res2 = BuildingBlock(blocks[0], 64, 64, 256, 1, **arguments)
            self.res3 = BuildingBlock(blocks[1], 256, 128, 512, 2, **arguments)
            self.res4 = BuildingBlock(blocks[2], 512, 256, 1024, 2, **arguments)
            self.res5 = BuildingBlock(blocks[3], 1024, 512, 2048, 2, **arguments)
            self.fc6 = Linear(2048, 1000)
        name = f'ResNet-{n_layers}-model'
        self._load_pretrained(
            pretrained_model,
            name,
            lambda: self._existing_caffemodel(
                os.path.join(download.get_dataset_directory('pfnet/chainer/models/'), name + '.caffemodel')
            ),
        )

    def _existing_caffemodel(self, path):
        if not os.path.exists(path):
            raise OSError(
                'The pre-trained caffemodel does not exist. Please download it from '
                f"'https://github.com/KaimingHe/deep-residual-networks', and place it on {path}"
            )
        return path

    def _convert(self, path_caffemodel, path_npz):
        self.convert_caffemodel_to_npz(path_caffemodel, path_npz, self._n_layers)

    def _load_torchvision(self, path):
        weights = {'conv1.weight': self.conv1.W.array, 'fc.weight': self.fc6.W.array, 'fc.bias': self.fc6.b.array}
        weights |= _torchvision.normalization('bn1', self.bn1)
        bottlenecks = [
            (f'layer{stage}.{i}', bottleneck)
            for stage in (1, 2, 3, 4)
            for i, bottleneck in enumerate(self[f'res{stage + 1}']._bottlenecks())
        ]
        for name, bottleneck in bottlenecks:
            weights |= bottleneck._torchvision_weights(name)
        _torchvision.load(path, weights)
        self._adapt_to_torchvision()
        self.conv1.b.array[...] = 0
        for link in self.links():
            if isinstance(link, BatchNormalization):
                link.eps = _torchvision.EPS
        for _, bottleneck in bottlenecks:  # the stride of the 3 x 3 convolution
            bottleneck.conv2.stride, bottleneck.conv1.stride = bottleneck._stride(), (1, 1)

    @classmethod
    def convert_caffemodel_to_npz(cls, path_caffemodel, path_npz, n_layers=50):
        """Converts a published caffemodel to an npz file of this class.

        Args:
            path_caffemodel: Path of the caffemodel.
            path_npz: Path of the npz file to write.
            n_layers: 50, 101 or 152.

        Raises:
            ValueError: if the caffemodel is of another network.
        """
        from chainlite.links.caffe.caffe_function import CaffeFunction  # needed for this alone

        caffemodel = CaffeFunction(path_caffemodel)
        model = ResNetLayers(None, n_layers)
        try:
            model._copy_caffemodel(caffemodel)
        except (AttributeError, KeyError, ValueError) as e:  # a layer, its bias or a shape
            raise ValueError(f'{path_caffemodel} is no ResNet of {n_layers} layers: {e}')
        npz.save_npz(path_npz, model, compression=False)

    def _copy_caffemodel(self, src):
        _pretrained.copy_convolution(src.fc1000, self.fc6)
        if self._n_layers == 50:  # the others' has no bias
            _pretrained.copy_convolution(src.conv1, self.conv1)
        else:
            _copy_weight(src.conv1, self.conv1)
        _pretrained.copy_normalization(src.bn_conv1, src.scale_conv1, self.bn1)
        for stage in (2, 3, 4, 5):
            block = self[f'res{stage}']
            letters = self._n_layers == 50 or stage in (2, 5)
            for i, bottleneck in enumerate(block._bottlenecks()):
                name = 'abcdef'[i] if letters or i == 0 else f'b{i}'
                bottleneck._copy_caffemodel(src, f'{stage}{name}')

    def _pool1(self, x):
        if self._whole_windows:
            return max_pooling_2d(x, ksize=3, stride=2, pad=1, cover_all=False)
        return max_pooling_2d(x, ksize=3, stride=2)

    @property
    def functions(self):
        return {
            'conv1': [self.conv1, self.bn1, relu],
            'pool1': [self._pool1],
            'res2': [self.res2],
            'res3': [self.res3],
            'res4': [self.res4],
            'res5': [self.res5],
            'pool5': [_global_average_pooling_2d],
            'fc6': [self.fc6],
            'prob': [softmax],
        }


def _copy_weight(src, dst):
    dst.W.array[...] = src.W.array


class ResNet50Layers(ResNetLayers):
    """:class:`ResNetLayers` of 50 layers."""

    def __init__(self, pretrained_model='auto', downsample_fb=False):
        super().__init__(pretrained_model, 50, downsample_fb)


class ResNet101Layers(ResNetLayers):
    """:class:`ResNetLayers` of 101 layers."""

    def __init__(self, pretrained_model='auto', downsample_fb=False):
        super().__init__(pretrained_model, 101, downsample_fb)


class ResNet152Layers(ResNetLayers):
    """:class:`ResNetLayers` of 152 layers."""

    def __init__(self, pretrained_model='auto', downsample_fb=False):
        super().__init__(pretrained_model, 152, downsample_fb)


def prepare(image, size=(224, 224)):
    """Makes the input of :class:`ResNetLayers` of a PIL image or an array; see :func:`_pretrained.prepare_image`."""
    return _pretrained.prepare_image(image, size, _MEAN)


class BuildingBlock(Chain):
    """A stage: one bottleneck that may change the size, and ``n_layers - 1`` that do not.

    Args:
        n_layers: Number of bottlenecks.
        in_channels: Channels of the input.
        mid_channels: Channels within the bottlenecks.
        out_channels: Channels of the output.
        stride: Step of the first bottleneck.
        initialW: Initializer of the filters.
        downsample_fb: That of :class:`ResNetLayers`.
    """

    def __init__(
        self,
        n_layers=None,
        in_channels=None,
        mid_channels=None,
        out_channels=None,
        stride=None,
        initialW=None,
        downsample_fb=None,
    ):
        super().__init__()
        self._n_layers = n_layers
        with self.init_scope():
            self.a = BottleneckA(in_channels, mid_channels, out_channels, stride, initialW, downsample_fb)
            for i in range(1, n_layers):
                setattr(self, f'b{i}', BottleneckB(out_channels, mid_channels, initialW))

    def _bottlenecks(self):
        return [self.a, *(self[f'b{i}'] for i in range(1, self._n_layers))]

    def forward(self, x):
        """Maps ``x``, (n, in_channels, h, w), to (n, out_channels, h / stride, w / stride)."""
        for bottleneck in self._bottlenecks():
            x = bottleneck(x)
        return x


class _Bottleneck(Chain):
    def __init__(self, in_channels, mid_channels, out_channels, first, second, initialW):
        super().__init__()
        with self.init_scope():
            self.conv1 = Convolution2D(in_channels, mid_channels, 1, first, 0, True, initialW)
            self.bn1 = BatchNormalization(mid_channels)
            self.conv2 = Convolution2D(mid_channels, mid_channels, 3, second, 1, True, initialW)
            self.bn2 = BatchNormalization(mid_channels)
            self.conv3 = Convolution2D(mid_channels, out_channels, 1, 1, 0, True, initialW)
            self.bn3 = BatchNormalization(out_channels)

    def _beside(self, x):
        """What the result of the three convolutions is added to."""
        return x

    def forward(self, x):
        h = relu(self.bn1(self.conv1(x)))
        h = relu(self.bn2(self.conv2(h)))
        return relu(self.bn3(self.conv3(h)) + self._beside(x))

    def _stride(self):
        (a, b), (c, d) = self.conv1.stride, self.conv2.stride
        return a * c, b * d

    def _convolutions(self):
        """Pairs of a convolution and its normalization."""
        return [(self[f'conv{i}'], self[f'bn{i}']) for i in range(1, 5 if hasattr(self, 'conv4') else 4)]

    def _copy_caffemodel(self, src, name):
        for (conv, bn), branch in zip(self._convolutions(), ('2a', '2b', '2c', '1')):
            layer = f'{name}_branch{branch}'
            _copy_weight(src[f'res{layer}'], conv)
            _pretrained.copy_normalization(src[f'bn{layer}'], src[f'scale{layer}'], bn)

    def _torchvision_weights(self, name):
        names = [(f'conv{i}', f'bn{i}') for i in (1, 2, 3)] + [('downsample.0', 'downsample.1')]
        found = {}
        for (conv, bn), (conv_name, bn_name) in zip(self._convolutions(), names):
            found[f'{name}.{conv_name}.weight'] = conv.W.array
            found |= _torchvision.normalization(f'{name}.{bn_name}', bn)
        return found


class BottleneckA(_Bottleneck):
    """Bottleneck of 1 x 1, 3 x 3 and 1 x 1 convolutions beside a 1 x 1 convolution."""

    def __init__(self, in_channels, mid_channels, out_channels, stride=2, initialW=None, downsample_fb=False):
        strides = (1, stride) if downsample_fb else (stride, 1)
        super().__init__(in_channels, mid_channels, out_channels, *strides, initialW)
        with self.init_scope():
            self.conv4 = Convolution2D(in_channels, out_channels, 1, stride, 0, True, initialW)
            self.bn4 = BatchNormalization(out_channels)

    def _beside(self, x):
        return self.bn4(self.conv4(x))


class BottleneckB(_Bottleneck):
    """Bottleneck of 1 x 1, 3 x 3 and 1 x 1 convolutions beside the identity."""

    def __init__(self, in_channels, mid_channels, initialW=None):
        super().__init__(in_channels, mid_channels, in_channels, 1, 1, initialW)


def _global_average_pooling_2d(x):
    n, channels, rows, cols = x.shape
    h = average_pooling_2d(x, (rows, cols), stride=1)
    return reshape(h, (n, channels))
