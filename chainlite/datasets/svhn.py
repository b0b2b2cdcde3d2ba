import io

import numpy

from chainlite.configuration import get_dtype
from chainlite.dataset.download import cache_or_load_file, get_dataset_directory
from chainlite.datasets._sources import Source
from chainlite.datasets.tuple_dataset import TupleDataset

_md5s = {
    'train': 'e26dedcc434d2e4c54c9b2d4a06d8373',
    'test': 'eb5a983be6a315427106f1b164d9cef3',
    'extra': 'a93ce644f1a588dc4d68dda5feec44a7',
}


def get_svhn(withlabel=True, scale=1.0, dtype=None, label_dtype=numpy.int32, add_extra=False):
    """The Street View House Numbers: 73,257 training and 26,032 test colour images of 32 x 32 pixels; ten digits.

    The files are downloaded once; SciPy is needed to read them then. Without a connection, put ``train_32x32.mat`` and
    ``test_32x32.mat`` (and ``extra_32x32.mat``) into ``pfnet/chainer/svhn`` in the dataset root,
    ``~/.chainer/dataset``.

    Args:
        withlabel: If False, datasets are arrays of images without labels.
        scale: Largest possible value; the smallest is 0.
        dtype: Dtype of the images; None for ``config.dtype``.
        label_dtype: Dtype of the labels.
        add_extra: Whether to return the third set, 531,131 easier images.

    Returns:
        Training, test and perhaps extra dataset: TupleDatasets of images of shape (3, 32, 32) and labels, or arrays.

    Raises:
        RuntimeError: if a file can not be found or downloaded.

    Netzer et al., "Reading digits in natural images with unsupervised feature learning", 2011.
    """
    parts = ['train', 'test'] + ['extra'] * add_extra
    return tuple(_preprocess(_retrieve(part), withlabel, scale, get_dtype(dtype), label_dtype) for part in parts)


def _retrieve(part):
    folder = get_dataset_directory('pfnet/chainer/svhn', create_directory=False)
    return cache_or_load_file(f'{folder}/{part}.npz', lambda path: _create(part, path), numpy.load)


def _create(part, path):
    try:
        import scipy.io
    except ImportError:
        raise ImportError('SciPy is needed to read SVHN: pip install scipy')
    source = Source('svhn', f'{part}_32x32.mat', _md5s[part], ('http://ufldl.stanford.edu/housenumbers/',))
    data = scipy.io.loadmat(io.BytesIO(source.read()))
    y = data['y'].astype(numpy.uint8).flatten()
    y[y == 10] = 0  # the file counts from 1 to 10, where 10 is the digit 0
    arrays = {'x': data['X'].transpose(3, 2, 0, 1), 'y': y}
    numpy.savez_compressed(path, **arrays)
    return arrays


def _preprocess(raw, withlabel, scale, image_dtype, label_dtype):
    images = raw['x'].astype(image_dtype)
    images *= scale / 255.0
    if withlabel:
        return TupleDataset(images, raw['y'].astype(label_dtype))
    return images
