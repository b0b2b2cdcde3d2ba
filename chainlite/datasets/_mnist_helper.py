"""What MNIST and the datasets in its format share."""

import numpy

from chainlite.configuration import get_dtype
from chainlite.dataset.download import cache_or_load_file, get_dataset_directory
from chainlite.datasets._sources import Source
from chainlite.datasets.tuple_dataset import TupleDataset

NAMES = (
    'train-images-idx3-ubyte.gz',
    'train-labels-idx1-ubyte.gz',
    't10k-images-idx3-ubyte.gz',
    't10k-labels-idx1-ubyte.gz',
)


def sources(dataset, md5s, mirrors, retired=()):
    """Returns the sources of images and labels for training and test: two pairs."""
    files = [Source(dataset, name, md5, mirrors, retired) for name, md5 in zip(NAMES, md5s)]
    return files[:2], files[2:]


def retrieve(name, files):
    """Returns ``{'x': images, 'y': labels}``, from the prepared file ``name`` if it is there; makes it otherwise."""
    folder = get_dataset_directory(f'pfnet/chainer/{files[0].dataset}', create_directory=False)
    return cache_or_load_file(f'{folder}/{name}', lambda path: make_npz(path, files), load_npz)


def load_npz(path):
    with numpy.load(path) as f:
        return {'x': f['x'], 'y': f['y']}


def make_npz(path, urls):
    """Prepares images and labels in one file.

    Args:
        path: Path of the npz file; images become ``x``, uint8 of shape (N, 784), and labels ``y``, uint8.
        urls: Sources of the images and of the labels.

    Returns:
        Dictionary of both arrays.
    """
    x, y = (_read_idx(source) for source in urls)
    if len(x) != len(y):
        raise ValueError(f'{urls[0].name} has {len(x)} images but {urls[1].name} has {len(y)} labels')
    arrays = {'x': x.reshape(len(x), -1), 'y': y}
    numpy.savez_compressed(path, **arrays)
    return arrays


def _read_idx(source):
    """Returns the array in a file of the IDX format: two zero bytes, type 8 (uint8), rank, sizes, values."""
    data = source.read()
    rank = data[3]
    shape = numpy.frombuffer(data, '>i4', rank, 4).tolist()
    return numpy.frombuffer(data, numpy.uint8, -1, 4 + 4 * rank).reshape(shape)


def preprocess_mnist(raw, withlabel, ndim, scale, image_dtype, label_dtype, rgb_format):
    """Returns the dataset of prepared images and labels, as :func:`~chainlite.datasets.get_mnist` describes it."""
    shapes = {1: (784,), 2: (28, 28), 3: (1, 28, 28)}
    if ndim not in shapes:
        raise ValueError('invalid ndim for MNIST dataset')
    images = raw['x'].reshape(-1, *shapes[ndim])
    if rgb_format and ndim == 3:
        images = images.repeat(3, axis=1)
    images = images.astype(get_dtype(image_dtype))
    images *= scale / 255.0
    if withlabel:
        return TupleDataset(images, raw['y'].astype(label_dtype))
    return images


def get(files, withlabel, ndim, scale, dtype, label_dtype, rgb_format):
    """Returns the training and the test dataset of a pair of pairs of sources."""
    return tuple(
        preprocess_mnist(retrieve(name, pair), withlabel, ndim, scale, dtype, label_dtype, rgb_format)
        for name, pair in zip(('train.npz', 'test.npz'), files)
    )
