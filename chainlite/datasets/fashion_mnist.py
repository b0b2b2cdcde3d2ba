import numpy

from chainlite.datasets import _mnist_helper
from chainlite.datasets._mnist_helper import (
    make_npz,  # noqa: F401  (names Chainer has here)
    preprocess_mnist,  # noqa: F401
)

_files = _mnist_helper.sources(
    'fashion-mnist',
    (
        '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
        '25c81989df183df01b3e8a0aad5dffbe',  # of the compressed files
        'bef4ecab320f06d8554ea6380940ec79',
        'bb300cfdad3c16e7a12a480ee83cd310',
    ),
    (
        'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
        'https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/',
    ),
)


def get_fashion_mnist_labels():
    """Returns the names of the ten classes."""
    return ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot']


def get_fashion_mnist(withlabel=True, ndim=1, scale=1.0, dtype=None, label_dtype=numpy.int32, rgb_format=False):
    """Fashion-MNIST: pictures of clothes in the format of MNIST, whose function has the same arguments and result.

    See :func:`~chainlite.datasets.get_mnist`; the folder for the files is ``pfnet/chainer/fashion-mnist``.

    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
    """
    return _mnist_helper.get(_files, withlabel, ndim, scale, dtype, label_dtype, rgb_format)
