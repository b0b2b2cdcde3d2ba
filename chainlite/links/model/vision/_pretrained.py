"""What the published image classifiers share: their weights, and getting features and classes of images."""

import importlib.util
import os
import sys

import numpy

from chainlite.backend import get_array_module
from chainlite.configuration import using_config
from chainlite.dataset import download
from chainlite.dataset.convert import concat_examples
from chainlite.function import no_backprop_mode
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.average import average
from chainlite.link import Chain
from chainlite.links.model.vision import _torchvision
from chainlite.serializers import npz
from chainlite.utils import imgproc
from chainlite.utils.argument import parse_kwargs, removed
from chainlite.variable import Variable


def is_pillow_available():
    return importlib.util.find_spec('PIL') is not None


def module_with_available(module):
    """The `__getattr__` of a module whose `available` says whether images can be prepared."""

    def __getattr__(name):
        if name == 'available':
            return is_pillow_available()
        raise AttributeError(f'module {module!r} has no attribute {name!r}')

    return __getattr__


def prepare_image(image, size, mean):
    """Makes the network's input of an image.

    Args:
        image: PIL image, or array (h, w), (h, w, 3), (1, h, w) or (3, h, w) of grey or RGB values from 0 to 255.
        size: Width and height to scale to, None to leave the size.
        mean: Means of blue, green and red, which are subtracted.

    Returns:
        Array (3, height, width), float32, in the order BGR.

    Raises:
        TypeError: if it is neither, or an array of another shape.
    """
    if not is_pillow_available():
        raise ImportError('Pillow is needed to prepare images: pip install chainlite[image]')
    from PIL import Image

    if isinstance(image, numpy.ndarray):
        if image.ndim == 3 and image.shape[0] == 1:
            image = image[0]
        elif image.ndim == 3 and image.shape[0] == 3:
            image = image.transpose(1, 2, 0)
        try:
            image = Image.fromarray(image.astype(numpy.uint8))
        except TypeError:
            raise TypeError(f'an image is an array (h, w), (h, w, 3), (1, h, w) or (3, h, w), not one of {image.shape}')
    elif not isinstance(image, Image.Image):
        raise TypeError(f'an image is a PIL image or an array, not {type(image).__name__}')
    image = image.convert('RGB')
    if size:
        image = image.resize(size)
    bgr = numpy.asarray(image, numpy.float32)[:, :, ::-1]
    return (bgr - numpy.array(mean, numpy.float32)).transpose(2, 0, 1)


class PretrainedClassifier(Chain):
    """A classifier of images in 1000 classes, as a chain of named steps, each of which can be asked for.

    Attributes:
        functions: Dictionary from the names of the steps to lists of links and functions; made anew each time.
        available_layers: List of these names.
    """

    _feature_layer = 'pool5'
    _mean = None  # of blue, green and red
    _whole_windows = False  # whether pooling leaves out incomplete windows
    _removed = removed('test')  # arguments that once were

    def _load_pretrained(self, pretrained_model, name, fetch):
        """Loads weights.

        Args:
            pretrained_model: ``'auto'`` for the published ones; the path of an npz file, of a caffemodel, or of
                torchvision's weights (safetensors or pth); None for none.
            name: Name of the published npz in the cache, without its ending.
            fetch: Function that returns the path of the published caffemodel, or raises OSError.
        """
        if pretrained_model == 'auto':
            folder = download.get_dataset_directory('pfnet/chainer/models/')
            self._load_cached(os.path.join(folder, name + '.npz'), fetch)
        elif pretrained_model and os.path.splitext(pretrained_model)[1] == '.caffemodel':
            self._load_cached(
                os.path.splitext(pretrained_model)[0] + '.npz', lambda: self._existing_caffemodel(pretrained_model)
            )
        elif pretrained_model and str(pretrained_model).endswith(_torchvision.ENDINGS):
            self._load_torchvision(pretrained_model)
        elif pretrained_model:
            npz.load_npz(pretrained_model, self)

    def _existing_caffemodel(self, path):
        if not os.path.exists(path):
            raise FileNotFoundError(f'there is no caffemodel at {path}')
        return path

    def _load_cached(self, path_npz, fetch):
        def create(path):
            path_caffemodel = fetch()
            print('Now loading caffemodel (usually it may take few minutes)', file=sys.stderr)
            self._convert(path_caffemodel, path)
            npz.load_npz(path, self)

        download.cache_or_load_file(path_npz, create, lambda path: npz.load_npz(path, self))

    def _convert(self, path_caffemodel, path_npz):
        self.convert_caffemodel_to_npz(path_caffemodel, path_npz)

    def _load_torchvision(self, path):
        raise NotImplementedError

    def _adapt_to_torchvision(self):
        self._mean = _torchvision.MEAN_BGR
        self._whole_windows = True

    def _prepare_image(self, image, size):
        return prepare_image(image, size, self._mean)

    @property
    def functions(self):
        raise NotImplementedError

    @property
    def available_layers(self):
        return list(self.functions)

    def forward(self, x, layers=None, **kwargs):
        """Runs up to the last of some steps.

        Args:
            x: Prepared images, (n, 3, h, w).
            layers: List of names of steps, ``['prob']`` by default.

        Returns:
            Dictionary from the names to Variables.
        """
        parse_kwargs(kwargs, **self._removed)
        wanted = {'prob'} if layers is None else set(layers)
        found = {}
        h = x
        for name, functions in self.functions.items():
            if not wanted:
                break
            for function in functions:
                h = function(h)
            if name in wanted:
                wanted.remove(name)
                found[name] = h
        return found

    def extract(self, images, layers=None, size=(224, 224), **kwargs):
        """Prepares images and returns what some steps make of them.

        Whether dropout and batch normalization are in training mode is for ``config.train`` to say.

        Args:
            images: Iterable of PIL images or arrays.
            layers: List of names of steps; the features before the classes by default.
            size: Width and height to scale to; None if all images have the size to use.

        Returns:
            Dictionary from the names to Variables.
        """
        parse_kwargs(kwargs, **self._removed, **removed('volatile'))
        prepared = [self._prepare_image(image, size) for image in images]
        sizes = list(dict.fromkeys((x.shape[2], x.shape[1]) for x in prepared))
        if len(sizes) > 1:
            raise ValueError(f'images that keep their size (size=None) must agree in it, not have {sizes}')
        x = concat_examples(prepared)
        return self(Variable(self.xp.asarray(x)), layers=[self._feature_layer] if layers is None else layers)

    def predict(self, images, oversample=True):
        """Computes the probabilities of the classes, in test mode and without a graph.

        Args:
            images: Iterable of PIL images or arrays.
            oversample: Whether to average over the centre, the corners and their mirror images, rather than to take
                the centre.

        Returns:
            Variable (n, 1000).
        """
        x = concat_examples([self._prepare_image(image, (256, 256)) for image in images])
        x = imgproc.oversample(x, (224, 224)) if oversample else x[:, :, 16:240, 16:240]
        with no_backprop_mode(), using_config('train', False):
            y = self(Variable(self.xp.asarray(x)), layers=['prob'])['prob']
            if oversample:
                y = average(reshape(y, (len(y) // 10, 10, *y.shape[1:])), axis=1)
        return y


def copy_convolution(src, dst):
    """Copies the weights of a convolution or linear link."""
    dst.W.array[...] = src.W.array
    if dst.b is not None:
        dst.b.array[...] = src.b.array


def copy_normalization(bn, scale, dst):
    """Copies a batch normalization, of which Caffe makes two layers."""
    xp = get_array_module(dst.avg_mean)
    dst.avg_mean[...] = xp.asarray(bn.avg_mean)
    dst.avg_var[...] = xp.asarray(bn.avg_var)
    dst.gamma.array[...] = scale.W.array
    dst.beta.array[...] = scale.bias.b.array
