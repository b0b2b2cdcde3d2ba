from functools import partial

from chainlite.functions.activation.relu import relu
from chainlite.functions.activation.softmax import softmax
from chainlite.functions.noise.dropout import dropout
from chainlite.functions.normalization.local_response_normalization import local_response_normalization
from chainlite.functions.pooling.average_pooling_2d import average_pooling_2d
from chainlite.functions.pooling.max_pooling_2d import max_pooling_2d
from chainlite.initializers import LeCunUniform, Zero
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.links.connection.inception import Inception
from chainlite.links.connection.linear import Linear
from chainlite.links.model.vision import _pretrained, _published
from chainlite.serializers import npz
from chainlite.utils.argument import removed

# Steps between the links.
_halve = partial(max_pooling_2d, ksize=3, stride=2)
_average_5 = partial(average_pooling_2d, ksize=5, stride=3)
_average_7 = partial(average_pooling_2d, ksize=7, stride=1)
_respond = partial(local_response_normalization, n=5, k=1, alpha=1e-4 / 5)
_drop = partial(dropout, ratio=0.4)

_MEAN = (104.0, 117.0, 123.0)
_INCEPTIONS = {  # input channels, then the arguments of Inception
    '3a': (192, 64, 96, 128, 16, 32, 32),
    '3b': (256, 128, 128, 192, 32, 96, 64),
    '4a': (480, 192, 96, 208, 16, 48, 64),
    '4b': (512, 160, 112, 224, 24, 64, 64),
    '4c': (512, 128, 128, 256, 24, 64, 64),
    '4d': (512, 112, 144, 288, 32, 64, 64),
    '4e': (528, 256, 160, 320, 32, 128, 128),
    '5a': (832, 256, 160, 320, 32, 128, 128),
    '5b': (832, 384, 192, 384, 48, 128, 128),
}
_CAFFE_BRANCHES = {
    'conv1': '1x1',
    'proj3': '3x3_reduce',
    'conv3': '3x3',
    'proj5': '5x5_reduce',
    'conv5': '5x5',
    'projp': 'pool_proj',
}
_CAFFE_LAYERS = {
    'conv1': 'conv1/7x7_s2',
    'conv2_reduce': 'conv2/3x3_reduce',
    'conv2': 'conv2/3x3',
    'loss1_conv': 'loss1/conv',
    'loss1_fc1': 'loss1/fc',
    'loss1_fc2': 'loss1/classifier',
    'loss2_conv': 'loss2/conv',
    'loss2_fc1': 'loss2/fc',
    'loss2_fc2': 'loss2/classifier',
    'loss3_fc': 'loss3/classifier',
}


__getattr__ = _pretrained.module_with_available(__name__)


class GoogLeNet(_pretrained.PretrainedClassifier):
    """GoogLeNet, with its two auxiliary classifiers.

    Args:
        pretrained_model: ``'auto'`` for the published weights, which are downloaded and converted once; the path of an
            npz file or of a caffemodel; None for random weights.

    See: Szegedy et al., Going Deeper with Convolutions, https://arxiv.org/abs/1409.4842
    """

    _mean = _MEAN
    _removed = removed('train')

    def __init__(self, pretrained_model='auto'):
        super().__init__()
        init = Zero() if pretrained_model else LeCunUniform()
        with self.init_scope():
            self.conv1 = Convolution2D(3, 64, 7, 2, 3, initialW=init)
            self.conv2_reduce = Convolution2D(64, 64, 1, initialW=init)
            self.conv2 = Convolution2D(64, 192, 3, 1, 1, initialW=init)
            for name, arguments in _INCEPTIONS.items():
                setattr(self, 'inc' + name, Inception(*arguments))
            self.loss3_fc = Linear(1024, 1000, initialW=init)
            for i, n_in in ((1, 512), (2, 528)):
                setattr(self, f'loss{i}_conv', Convolution2D(n_in, 128, 1, initialW=init))
                setattr(self, f'loss{i}_fc1', Linear(2048, 1024, initialW=init))
                setattr(self, f'loss{i}_fc2', Linear(1024, 1000, initialW=init))
        self._load_pretrained(pretrained_model, 'bvlc_googlenet', lambda: _published.fetch('bvlc_googlenet'))

    def _load_torchvision(self, path):
        raise ValueError(
            f"{path}: torchvision's GoogLeNet has batch normalization after its convolutions, and 3 x 3 filters in "
            'place of 5 x 5: it is another network, and its weights can not be loaded here'
        )

    @classmethod
    def convert_caffemodel_to_npz(cls, path_caffemodel, path_npz):
        """Converts the published caffemodel, the path of which is given, to an npz file of this class."""
        from chainlite.links.caffe.caffe_function import CaffeFunction  # needed for this alone

        src, dst = CaffeFunction(path_caffemodel), cls(pretrained_model=None)
        for name, layer in _CAFFE_LAYERS.items():
            _pretrained.copy_convolution(src[layer], dst[name])
        for name in _INCEPTIONS:
            for branch, layer in _CAFFE_BRANCHES.items():
                _pretrained.copy_convolution(src[f'inception_{name}/{layer}'], dst['inc' + name][branch])
        npz.save_npz(path_npz, dst, compression=False)

    @property
    def functions(self):
        inceptions = {f'inception_{name}': [self['inc' + name]] for name in _INCEPTIONS}
        return {
            'conv1': [self.conv1, relu],
            'pool1': [_halve, _respond],
            'conv2_reduce': [self.conv2_reduce, relu],
            'conv2': [self.conv2, relu, _respond],
            'pool2': [_halve],
            **{name: inceptions[name] for name in ('inception_3a', 'inception_3b')},
            'pool3': [_halve],
            **{name: inceptions[name] for name in inceptions if name.startswith('inception_4')},
            'pool4': [_halve],
            **{name: inceptions[name] for name in ('inception_5a', 'inception_5b')},
            'pool5': [_average_7],
            'loss3_fc': [_drop, self.loss3_fc],
            'prob': [softmax],
            # Beside the way to prob: they start from inception_4a and inception_4d.
            'loss1_fc2': [_average_5, self.loss1_conv, relu, self.loss1_fc1, relu, self.loss1_fc2],
            'loss2_fc2': [_average_5, self.loss2_conv, relu, self.loss2_fc1, relu, self.loss2_fc2],
        }

    def forward(self, x, layers=None, **kwargs):
        """Runs up to the last of some steps.

        Args:
            x: Prepared images, (n, 3, h, w).
            layers: List of names of steps, ``['prob']`` by default.

        Returns:
            Dictionary from the names to Variables.
        """
        wanted = {'prob'} if layers is None else set(layers)
        branches = {'inception_4a': 'loss1_fc2', 'inception_4d': 'loss2_fc2'}
        functions = self.functions
        on_branches = wanted & set(branches.values())
        via = {start for start, branch in branches.items() if branch in on_branches}
        found = super().forward(x, layers=(wanted - on_branches) | via, **kwargs)
        for start in via:
            h = found[start]
            for function in functions[branches[start]]:
                h = function(h)
            found[branches[start]] = h
        return {name: found[name] for name in functions if name in found and name in wanted}


def prepare(image, size=(224, 224)):
    """Makes the input of :class:`GoogLeNet` of a PIL image or an array; see :func:`_pretrained.prepare_image`."""
    return _pretrained.prepare_image(image, size, _MEAN)
