"""CIFAR-10 and CIFAR-100."""

import io
import pickle
import tarfile

import numpy

from chainlite.configuration import get_dtype
from chainlite.dataset.download import cache_or_load_file, get_dataset_directory
from chainlite.datasets._sources import Source
from chainlite.datasets.tuple_dataset import TupleDataset

_mirrors = ('https://www.cs.toronto.edu/~kriz/',)
_cifar10 = Source('cifar', 'cifar-10-python.tar.gz', 'c58f30108f718f92721af3b95e74349a', _mirrors)
_cifar100 = Source('cifar', 'cifar-100-python.tar.gz', 'eb9058c3a382ffc7106e4002c42a8d85', _mirrors)


def get_cifar10(withlabel=True, ndim=3, scale=1.0, dtype=None):
    """CIFAR-10: 50,000 training and 10,000 test colour images of 32 x 32 pixels in ten classes.

    The file is downloaded once. Without a connection, put ``cifar-10-python.tar.gz`` into ``pfnet/chainer/cifar`` in
    the dataset root, ``~/.chainer/dataset``.

    Args:
        withlabel: If False, datasets are arrays of images without labels.
        ndim: Dimensions of an image: 1 for (3072,), 3 for (3, 32, 32).
        scale: Largest possible value; the smallest is 0.
        dtype: Dtype of the images; None for ``config.dtype``.

    Returns:
        Training and test dataset: TupleDatasets of images and int32 labels, or arrays.

    Raises:
        RuntimeError: if the file can not be found or downloaded.

    Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    train = [f'cifar-10-batches-py/data_batch_{i}' for i in range(1, 6)]
    raw = _retrieve('cifar-10.npz', _cifar10, train, ['cifar-10-batches-py/test_batch'], 'labels')
    return _both(raw, withlabel, ndim, scale, dtype)


def get_cifar100(withlabel=True, ndim=3, scale=1.0, dtype=None):
    """CIFAR-100: as :func:`get_cifar10`, with a hundred (fine) classes.

    The file is ``cifar-100-python.tar.gz``.
    """
    raw = _retrieve('cifar-100.npz', _cifar100, ['cifar-100-python/train'], ['cifar-100-python/test'], 'fine_labels')
    return _both(raw, withlabel, ndim, scale, dtype)


def _retrieve(name, source, train, test, labels):
    def create(path):
        arrays = {}
        with tarfile.open(fileobj=io.BytesIO(source.read())) as archive:
            for part, members in (('train', train), ('test', test)):
                batches = [_load(archive, member) for member in members]
                arrays[part + '_x'] = numpy.concatenate([batch['data'] for batch in batches]).reshape(-1, 3072)
                arrays[part + '_y'] = numpy.concatenate([batch[labels] for batch in batches]).astype(numpy.uint8)
        numpy.savez_compressed(path, **arrays)
        return arrays

    folder = get_dataset_directory('pfnet/chainer/cifar', create_directory=False)
    return cache_or_load_file(f'{folder}/{name}', create, numpy.load)


def _load(archive, member):
    # A pickle of Python 2; the digest of the archive has been checked, as unpickling runs code that a file names.
    return pickle.load(archive.extractfile(member), encoding='latin1')


def _both(raw, withlabel, ndim, scale, dtype):
    return tuple(
        _preprocess(raw[part + '_x'], raw[part + '_y'], withlabel, ndim, scale, dtype) for part in ('train', 'test')
    )


def _preprocess(images, labels, withlabel, ndim, scale, dtype):
    if ndim == 3:
        images = images.reshape(-1, 3, 32, 32)
    elif ndim == 1:
        images = images.reshape(-1, 3072)
    else:
        raise ValueError('invalid ndim for CIFAR dataset')
    images = images.astype(get_dtype(dtype))
    images *= scale / 255.0
    if withlabel:
        return TupleDataset(images, labels.astype(numpy.int32))
    return images
