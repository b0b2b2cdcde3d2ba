import numpy

from chainlite.datasets import _mnist_helper
from chainlite.datasets._mnist_helper import (
    make_npz,  # noqa: F401  (names Chainer has here)
    preprocess_mnist,  # noqa: F401
)

_files = _mnist_helper.sources(
    'kuzushiji_mnist',
    (
        'bdb82020997e1d708af4cf47b453dcf7',
        'e144d726b3acfaa3e44228e80efcd344',  # of the compressed files
        '5c965bf0a639b31b8f53240b1b52f4d7',
        '7320c461ea6c1c855c0b718fb2a4b134',
    ),
    ('http://codh.rois.ac.jp/kmnist/dataset/kmnist/',),
)


def get_kuzushiji_mnist_labels():
    """Returns the ten classes as pairs of the sound and the modern character."""
    return list(zip('o ki su tsu na ha ma ya re wo'.split(), 'おきすつなはまやれを'))


def get_kuzushiji_mnist(withlabel=True, ndim=1, scale=1.0, dtype=None, label_dtype=numpy.int32, rgb_format=False):
    """Kuzushiji-MNIST: cursive Japanese in the format of MNIST, whose function has the same arguments and result.

    See :func:`~chainlite.datasets.get_mnist`; the folder for the files is ``pfnet/chainer/kuzushiji_mnist``.

    Clanuwat et al., "Deep learning for classical Japanese literature", 2018.
    """
    return _mnist_helper.get(_files, withlabel, ndim, scale, dtype, label_dtype, rgb_format)
