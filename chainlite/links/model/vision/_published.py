"""Where the published caffemodels are, and getting them."""

import hashlib
import os
import sys

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
        os.makedirs(os.path.dirname(path), exist_ok=True)
        print(f'Downloading from {url}...', file=sys.stderr, flush=True)
        try:
            _download(url, path, sha1)
            return path
        except OSError as e:
            problems.append(f'{url} ({e})')
    raise OSError(
        f'The caffemodel can not be downloaded from {", nor from ".join(problems)}. Get it some other way, and place '
        f'it on {by_hand}'
    )


def _download(url, path, sha1):
    """Downloads a file and checks it; what has come of one that is cut off is kept, the rest asked for next time."""
    from urllib.request import Request, urlopen

    part = path + '.part'
    have = os.path.getsize(part) if os.path.exists(part) else 0
    request = Request(url, headers={'Range': f'bytes={have}-'} if have else {})
    try:
        response = urlopen(request, timeout=60)
    except OSError as e:
        if getattr(e, 'code', None) != 416:  # the part is as long as the file, or longer
            raise
        os.remove(part)
        have, response = 0, urlopen(url, timeout=60)
    with response:
        if response.status != 206:  # all of it, whether asked for or not
            have = 0
        length = response.headers.get('Content-Length')
        total = None if length is None else have + int(length)
        with open(part, 'ab' if have else 'wb') as f:
            _copy(response, f, total)
    if total is not None and os.path.getsize(part) < total:
        raise OSError(f'the connection ended early; {os.path.getsize(part)} bytes of {total} are kept')
    with open(part, 'rb') as f:
        digest = hashlib.sha1()
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != sha1:
        os.remove(part)
        raise OSError(f'it has another content: SHA-1 {digest.hexdigest()} instead of {sha1}')
    os.replace(part, path)


def _copy(response, f, total):
    """Writes what comes, and tells each tenth of it."""
    import http.client

    told = None
    while True:
        try:
            chunk = response.read(1 << 18)
        except http.client.IncompleteRead as e:
            chunk = e.partial
        if not chunk:
            return
        f.write(chunk)
        tenths = f.tell() * 10 // total if total else None
        if total and tenths != told:
            told = tenths
            print(f'  {tenths * 10} % of {total / 1e6:.0f} MB', file=sys.stderr, flush=True)
