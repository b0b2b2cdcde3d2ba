"""Datasets of image files and of zip archives of them. They need Pillow."""

import bisect
import importlib.util
import os
import threading

import numpy

from chainlite.configuration import get_dtype
from chainlite.dataset.dataset_mixin import DatasetMixin

available = importlib.util.find_spec('PIL') is not None


def _check_pillow_availability():
    if not available:
        raise ImportError('Pillow is needed to read images: pip install chainlite[image]')


def _read_image_as_array(file, dtype):
    """Returns the image in a file as an array of shape (channels, height, width); one channel if it is grey."""
    from PIL import Image

    with Image.open(file) as image:
        array = numpy.array(image, dtype=dtype)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


class ImageDataset(DatasetMixin):
    """Image files as arrays of shape (channels, height, width), values as in the files (0 to 255).

    Args:
        paths: List of paths, or the path of a text file with one path per line.
        root: Folder that the paths are relative to.
        dtype: Dtype of the arrays; None for ``config.dtype``.
    """

    def __init__(self, paths, root='.', dtype=None):
        _check_pillow_availability()
        if isinstance(paths, (str, os.PathLike)):
            with open(paths) as f:
                paths = [line.strip() for line in f]
        self._paths = paths
        self._root = root
        self._dtype = get_dtype(dtype)

    def __len__(self):
        return len(self._paths)

    def get_example(self, i):
        return _read_image_as_array(os.path.join(self._root, self._paths[i]), self._dtype)


class LabeledImageDataset(DatasetMixin):
    """Pairs of an image, as :class:`ImageDataset` gives it, and an integer label.

    Args:
        pairs: List of pairs of a path and a label, or the path of a text file with a path and a label per line.
        root: Folder that the paths are relative to.
        dtype: Dtype of the images; None for ``config.dtype``.
        label_dtype: Dtype of the labels.

    Raises:
        ValueError: if a line of the file is not a path and a label.
    """

    def __init__(self, pairs, root='.', dtype=None, label_dtype=numpy.int32):
        _check_pillow_availability()
        self._pairs = _read_pairs(pairs) if isinstance(pairs, (str, os.PathLike)) else pairs
        self._root = root
        self._dtype = get_dtype(dtype)
        self._label_dtype = label_dtype

    def __len__(self):
        return len(self._pairs)

    def get_example(self, i):
        path, label = self._pairs[i]
        image = _read_image_as_array(os.path.join(self._root, path), self._dtype)
        return image, numpy.array(label, dtype=self._label_dtype)


def _read_pairs(path):
    pairs = []
    with open(path) as f:
        for i, line in enumerate(f):
            pair = line.strip().split()
            if len(pair) != 2:
                raise ValueError(f'invalid format at line {i} in file {path}')
            pairs.append((pair[0], int(pair[1])))
    return pairs


class ZippedImageDataset(DatasetMixin):
    """The images in a zip archive, in its order, as :class:`ImageDataset` gives them.

    Args:
        zipfilename: Path of the archive.
        dtype: Dtype of the arrays; None for ``config.dtype``.
    """

    def __init__(self, zipfilename, dtype=None):
        _check_pillow_availability()
        self._zipfilename = zipfilename
        self._dtype = get_dtype(dtype)
        self._open()
        self._paths = [name for name in self._zf.namelist() if not name.endswith('/')]

    def _open(self):
        from zipfile import ZipFile

        self._zf = ZipFile(self._zipfilename)
        self._zf_pid = os.getpid()
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._paths)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name not in ('_zf', '_zf_pid', '_lock')}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open()

    def get_example(self, i_or_filename):
        """Returns the image with a number or a name."""
        if self._zf_pid != os.getpid():
            self._open()  # a child process must not move the parent's position in the file
        name = i_or_filename if isinstance(i_or_filename, str) else self._paths[i_or_filename]
        with self._lock:
            with self._zf.open(name) as f:
                return _read_image_as_array(f, self._dtype)


class MultiZippedImageDataset(DatasetMixin):
    """The images in several zip archives, one after the other.

    Args:
        zipfilenames: List of paths of the archives.
        dtype: Dtype of the arrays; None for ``config.dtype``.
    """

    def __init__(self, zipfilenames, dtype=None):
        self._datasets = [ZippedImageDataset(name, dtype) for name in zipfilenames]
        self._starts = numpy.cumsum([0, *map(len, self._datasets)]).tolist()

    def __len__(self):
        return self._starts[-1]

    def get_example(self, i):
        if not 0 <= i < len(self):
            raise IndexError(f'index {i} is out of bounds for a dataset of {len(self)} images')
        number = bisect.bisect_right(self._starts, i) - 1
        return self._datasets[number].get_example(i - self._starts[number])


class LabeledZippedImageDataset(DatasetMixin):
    """Pairs of an image in a zip archive and an integer label.

    Args:
        zipfilename: Path of the archive.
        labelfilename: Path of a text file with a name in the archive and a label per line.
        dtype: Dtype of the images; None for ``config.dtype``.
        label_dtype: Dtype of the labels.
    """

    def __init__(self, zipfilename, labelfilename, dtype=None, label_dtype=numpy.int32):
        self._pairs = _read_pairs(labelfilename)
        self._label_dtype = label_dtype
        self._zf = ZippedImageDataset(zipfilename, dtype)

    def __len__(self):
        return len(self._pairs)

    def get_example(self, i):
        path, label = self._pairs[i]
        return self._zf.get_example(path), numpy.array(label, dtype=self._label_dtype)
