import numpy

from chainlite.datasets import _mnist_helper
from chainlite.datasets._mnist_helper import (
    make_npz,  # noqa: F401  (names Chainer has here)
    preprocess_mnist,  # noqa: F401
)

_files = _mnist_helper.sources(
    'mnist',
    (
        '6bbc9ace898e44ae57da46a324031adb',
        'a25bea736e30d166cdddb491f175f624',  # of the uncompressed files
        '2646ac647ad5339dbf082846283269ea',
        '27ae3e4e09519cfbb04c329615203637',
    ),
    ('https://ossci-datasets.s3.amazonaws.com/mnist/', 'https://storage.googleapis.com/cvdf-datasets/mnist/'),
    retired=('http://yann.lecun.com/exdb/mnist/',),
)


def get_mnist(withlabel=True, ndim=1, scale=1.0, dtype=None, label_dtype=numpy.int32, rgb_format=False):
    """The MNIST handwritten digits: 60,000 training and 10,000 test images of 28 x 28 pixels in ten classes.

    The files are downloaded once. Without a connection, put the four ``.gz`` files (of any compression level, or
    uncompressed) into ``pfnet/chainer/mnist`` in the dataset root, ``~/.chainer/dataset``.

    Args:
        withlabel: If False, datasets are arrays of images without labels.
        ndim: Dimensions of an image: 1 for (784,), 2 for (28, 28), 3 for (channels, 28, 28).
        scale: Value of white; black is 0.
        dtype: Dtype of the images; None for ``config.dtype``.
        label_dtype: Dtype of the labels.
        rgb_format: Whether images of three dimensions have three equal channels, not one.

    Returns:
        Training and test dataset: TupleDatasets of images and labels, or arrays.

    Raises:
        RuntimeError: if a file can not be found or downloaded.

    LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998.
    """
    return _mnist_helper.get(_files, withlabel, ndim, scale, dtype, label_dtype, rgb_format)
