from functools import partial

from chainlite.functions.activation.relu import relu
from chainlite.functions.activation.softmax import softmax
from chainlite.functions.noise.dropout import dropout
from chainlite.functions.pooling.max_pooling_2d import max_pooling_2d
from chainlite.initializers import Normal, Zero
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.links.connection.linear import Linear
from chainlite.links.model.vision import _pretrained, _published, _torchvision
from chainlite.serializers import npz

_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)
_HIDDEN = 4096
_MEAN = (103.939, 116.779, 123.68)


__getattr__ = _pretrained.module_with_available(__name__)


class VGGLayers(_pretrained.PretrainedClassifier):
    """VGG network of 16 or 19 layers.

    Args:
        pretrained_model: ``'auto'`` for the published weights, which are downloaded and converted once; the path of an
            npz file, of a caffemodel or of torchvision's weights (see :mod:`_torchvision`); None for random weights.
        n_layers: 16 or 19.

    See: Simonyan and Zisserman, Very Deep Convolutional Networks, https://arxiv.org/abs/1409.1556
    """

    _feature_layer = 'fc7'
    _mean = _MEAN

    def __init__(self, pretrained_model='auto', n_layers=16):
        if n_layers not in _CONVOLUTIONS:
            raise ValueError(f'The n_layers argument should be either 16 or 19, but {n_layers} was given.')
        super().__init__()
        self._n_layers = n_layers
        init = {'initialW': Zero() if pretrained_model else Normal(0.01), 'initial_bias': Zero()}
        with self.init_scope():
            n_in = 3
            for i, (n_convolutions, n_out) in enumerate(zip(_CONVOLUTIONS[n_layers], _CHANNELS), 1):
                for j in range(1, n_convolutions + 1):
                    setattr(self, f'conv{i}_{j}', Convolution2D(n_in, n_out, 3, 1, 1, **init))
                    n_in = n_out
            self.fc6 = Linear(n_in * 7 * 7, _HIDDEN, **init)
            self.fc7 = Linear(_HIDDEN, _HIDDEN, **init)
            self.fc8 = Linear(_HIDDEN, 1000, **init)
        name = f'VGG_ILSVRC_{n_layers}_layers'
        self._load_pretrained(pretrained_model, name, lambda: _published.fetch(name))

    def _load_torchvision(self, path):
        sources, number = {}, 0
        for i, n_convolutions in enumerate(_CONVOLUTIONS[self._n_layers], 1):
            for j in range(1, n_convolutions + 1):
                sources[f'features.{number}'] = self[f'conv{i}_{j}']
                number += 2  # its relu has a number too
            number += 1
        sources |= {'classifier.0': self.fc6, 'classifier.3': self.fc7, 'classifier.6': self.fc8}
        weights = {f'{name}.weight': link.W.array for name, link in sources.items()}
        _torchvision.load(path, weights | {f'{name}.bias': link.b.array for name, link in sources.items()})
        self._adapt_to_torchvision()

    @classmethod
    def convert_caffemodel_to_npz(cls, path_caffemodel, path_npz):
        """Converts a published caffemodel, the path of which is given, to an npz file of this class."""
        from chainlite.links.caffe.caffe_function import CaffeFunction  # needed for this alone

        npz.save_npz(path_npz, CaffeFunction(path_caffemodel), compression=False)  # the names are the same

    @property
    def functions(self):
        steps, halve = {}, partial(max_pooling_2d, ksize=2, cover_all=not self._whole_windows)
        for i, n_convolutions in enumerate(_CONVOLUTIONS[self._n_layers], 1):
            for j in range(1, n_convolutions + 1):
                steps[f'conv{i}_{j}'] = [self[f'conv{i}_{j}'], relu]
            steps[f'pool{i}'] = [halve]
        return {
            **steps,
            'fc6': [self.fc6, relu, dropout],
            'fc7': [self.fc7, relu, dropout],
            'fc8': [self.fc8],
            'prob': [softmax],
        }


class VGG16Layers(VGGLayers):
    """:class:`VGGLayers` of 16 layers."""

    def __init__(self, pretrained_model='auto'):
        super().__init__(pretrained_model, 16)


class VGG19Layers(VGGLayers):
    """:class:`VGGLayers` of 19 layers."""

    def __init__(self, pretrained_model='auto'):
        super().__init__(pretrained_model, 19)


def prepare(image, size=(224, 224)):
    """Makes the input of :class:`VGGLayers` of a PIL image or an array; see :func:`_pretrained.prepare_image`."""
    return _pretrained.prepare_image(image, size, _MEAN)
