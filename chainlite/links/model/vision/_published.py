"""Where the published caffemodels are, and getting them."""

import functools
import hashlib
import os

from chainlite.dataset import download

_VGG = 'www.robots.ox.ac.uk/%7Evgg/software/very_deep/caffe/'
_MXNET = 'https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/caffe/models/'

# name: (SHA-1, addresses in the order in which they are tried; Chainer's is the first). MSRA's residual networks are
# given out by hand.
CAFFEMODELS = {
    'VGG_ILSVRC_16_layers': (
        '9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24',
        [f'{start}VGG_ILSVRC_16_layers.caffemodel' for start in (f'https://{_VGG}', f'http://{_VGG}', f'{_MXNET}vgg/')],
    ),
    'VGG_ILSVRC_19_layers': (
        '239785e7862442717d831f682bb824055e51e9ba',
        [f'{start}VGG_ILSVRC_19_layers.caffemodel' for start in (f'http://{_VGG}', f'https://{_VGG}', f'{_MXNET}vgg/')],
    ),
    'bvlc_googlenet': (
        '405fc5acd08a3bb12de8ee5e23a96bec22f08204',
        [
            'http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel',
            'https://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel',
            f'{_MXNET}bvlc_googlenet/bvlc_googlenet.caffemodel',
        ],
    ),
}


def fetch(name):
    """Returns the path of a published caffemodel: that of a file put in place by hand, in the cache, or downloaded.

    Args:
        name: Name of the caffemodel, without its ending.

    Raises:
        OSError: if no address has it; names them, and the file to put in place.
    """
    by_hand = os.path.join(download.get_dataset_directory('pfnet/chainer/models'), name + '.caffemodel')
    sha1, urls = CAFFEMODELS[name]
    for path in (by_hand, *map(download.download_path, urls)):
        if os.path.exists(path):
            return path
    problems = []
    for url in urls:
        path = download.download_path(url)
        try:
            download.download_whole(url, path, functools.partial(_check, sha1))
            return path
        except OSError as e:
            problems.append(f'{url} ({e})')
    raise OSError(
        f'The caffemodel can not be downloaded from {", nor from ".join(problems)}. Get it some other way, and place '
        f'it on {by_hand}'
    )


def _check(sha1, path):
    digest = hashlib.sha1()
    with open(path, 'rb') as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != sha1:
        raise OSError(f'it has another content: SHA-1 {digest.hexdigest()} instead of {sha1}')
