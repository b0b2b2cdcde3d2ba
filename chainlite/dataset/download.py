"""The folder of downloaded and prepared data, shared by the processes of a user.

It is ``~/.chainer/dataset`` unless the environment variable ``CHAINER_DATASET_ROOT`` or :func:`set_dataset_root` names
another, with the layout of Chainer, whose files are used if they are there. All files are written under another name
and moved into place, and a lock keeps processes from doing one thing twice.
"""

import contextlib
import hashlib
import os
import sys

from chainlite.utils.atomic import replacing

_dataset_root = os.environ.get('CHAINER_DATASET_ROOT', os.path.join(os.path.expanduser('~'), '.chainer', 'dataset'))


def get_dataset_root():
    """Returns the folder of datasets."""
    return _dataset_root


def set_dataset_root(path):
    """Sets the folder of datasets for this process."""
    global _dataset_root
    _dataset_root = path


def get_dataset_directory(dataset_name, create_directory=True):
    """Returns the folder of one dataset, such as ``pfnet/chainer/mnist``, in the root; makes it unless told not to."""
    path = os.path.join(_dataset_root, dataset_name)
    if create_directory:
        os.makedirs(path, exist_ok=True)
    return path


def cached_download(url):
    """Downloads a file once and returns its path in the cache.

    Raises:
        OSError: if the cache can not be made, or the download fails.
    """
    from urllib import request

    folder = os.path.join(_dataset_root, '_dl_cache')
    os.makedirs(folder, exist_ok=True)
    path = download_path(url)
    with _lock(os.path.join(folder, '_dl_lock')):
        if not os.path.exists(path):
            print(f'Downloading from {url}...', file=sys.stderr, flush=True)
            try:
                with replacing(path) as temporary:
                    request.urlretrieve(url, temporary)
            except OSError as e:
                raise OSError(f'cannot download {url} ({e}). Get it some other way and put it in place as {path}')
    return path


def download_whole(url, path, check):
    """Downloads a file that is known; what has come of one that is cut off is kept, and the rest asked for next time.

    Args:
        url: Its address.
        path: Where it is put in place, once all of it is there.
        check: Function of the path of what has come, which raises OSError if that is another file; it is removed then.

    Raises:
        OSError: if the download fails, or is cut off.
    """
    from urllib.request import Request, urlopen

    print(f'Downloading from {url}...', file=sys.stderr, flush=True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
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
    try:
        check(part)
    except OSError:
        os.remove(part)
        raise
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


def download_path(url):
    """Returns where the cache keeps the file from ``url``, whether it is there or not."""
    return os.path.join(_dataset_root, '_dl_cache', hashlib.md5(url.encode()).hexdigest())


def cache_or_load_file(path, creator, loader):
    """Returns ``loader(path)`` if the file exists, otherwise makes it by ``creator(path)`` and returns what that did.

    Args:
        path: Path of the file.
        creator: Function that writes the content to the path it is given (a temporary one) and returns it.
        loader: Function that reads the content from a path and returns it.

    Raises:
        RuntimeError: if the root is not a folder and can not be made.
    """
    if os.path.exists(path):
        return loader(path)
    try:
        os.makedirs(_dataset_root, exist_ok=True)
    except OSError:
        raise RuntimeError(f'cannot create dataset directory: {_dataset_root}')
    from tempfile import TemporaryDirectory

    if not os.access(_dataset_root, os.W_OK):  # a read-only collection: made anew each time
        with TemporaryDirectory() as folder:
            return creator(os.path.join(folder, os.path.basename(path)))
    with _lock(os.path.join(_dataset_root, '_create_lock')):
        if os.path.exists(path):  # another process made it meanwhile
            return loader(path)
        folder = os.path.dirname(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        with TemporaryDirectory(dir=folder) as temporary:
            temporary = os.path.join(temporary, os.path.basename(path))  # the name counts: NumPy adds a missing .npz
            content = creator(temporary)
            os.replace(temporary, path)
            return content


@contextlib.contextmanager
def _lock(path):
    """Context that one process at a time is in; the lock goes with the process if it dies.

    Without ``fcntl`` (Windows) there is no lock: processes then repeat work, and files are still replaced as a whole.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, 'a') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
