"""Saving to and loading from HDF5 files, with h5py: one group per part, one dataset per value.

None is an empty dataset and a string a variable-length one; the arrays of a dtype that NumPy lacks (bfloat16) are
stored as float32, with the attribute ``dtype``. h5py is imported when it is used.
"""

import contextlib
import importlib.util

import numpy

from chainlite import backend
from chainlite.serializer import Deserializer, Serializer, extension_dtype, to_extension_dtype
from chainlite.serializers.npz import convert, name_of
from chainlite.utils.atomic import replacing

_available = importlib.util.find_spec('h5py') is not None


def _import_h5py():
    try:
        import h5py
    except ImportError:
        raise RuntimeError('h5py is needed to save and load HDF5 files: pip install chainlite[hdf5]') from None
    return h5py


class HDF5Serializer(Serializer):
    """Saves into a group of an HDF5 file.

    Args:
        group (h5py.Group): The group, or an open file.
        compression (int): Level of gzip compression for arrays of more than one element, 0 to 9.
    """

    def __init__(self, group, compression=4):
        self._h5py = _import_h5py()
        self.group = group
        self.compression = compression

    def __getitem__(self, key):
        return HDF5Serializer(self.group.require_group(key.strip('/')), self.compression)

    def __call__(self, key, value):
        h5py = self._h5py
        key = key.lstrip('/')
        if value is None:
            if h5py.version.version_tuple < (2, 7, 0):
                raise RuntimeError('h5py 2.7 or newer is needed to save None')
            self.group.create_dataset(key, data=h5py.Empty('f'))
            return value
        array = numpy.asarray(backend.CpuDevice().send(value))
        tag = extension_dtype(array)
        options = {}
        if tag:
            array = array.astype(numpy.float32)
        if array.dtype.kind == 'U':
            array, options['dtype'] = array.astype(object), h5py.string_dtype()
        if array.size > 1:
            options['compression'] = self.compression
        dataset = self.group.create_dataset(key, data=array, **options)
        if tag:
            dataset.attrs['dtype'] = tag
        return value


class HDF5Deserializer(Deserializer):
    """Loads from a group of an HDF5 file.

    Args:
        group (h5py.Group): The group, or an open file; None stands for a group that the file lacks.
        strict (bool): If False, a value that the file lacks stays as it is; otherwise it is a KeyError.
    """

    def __init__(self, group, strict=True):
        self._h5py = _import_h5py()
        self.group = group
        self.strict = strict
        self._file = 'the file' if group is None else group.file.filename
        self._path = '' if group is None else group.name.strip('/')

    def __getitem__(self, key):
        group = None if self.group is None else self.group.get(key.strip('/'))
        child = HDF5Deserializer(group if isinstance(group, self._h5py.Group) else None, self.strict)
        child._file, child._path = self._file, f'{self._path}/{key.strip("/")}'.lstrip('/')
        child._overwritten = self._overwritten
        return child

    def __call__(self, key, value):
        key = key.lstrip('/')
        where = f"{self._file}: entry '{self._path}/{key}'" if self._path else f'{self._file}: entry {key!r}'
        dataset = None if self.group is None else self.group.get(key)
        if not isinstance(dataset, self._h5py.Dataset):
            if not self.strict:
                return value
            raise KeyError(f'{where} is not in the file (strict=False leaves values without entry as they are)')
        if dataset.shape is None:
            return None
        is_array = isinstance(value, backend.get_array_types())
        try:
            data = self._read(dataset, value.dtype if is_array else None)
        except (OSError, TypeError) as e:
            raise type(e)(f'{where} cannot be read: {e}') from e
        if is_array:
            return self._write(value, data, where)
        return data if value is None else convert(data, type(value), where)

    def _read(self, dataset, dtype):
        """Reads a dataset into a new array; HDF5 converts between number types, and not always as NumPy does."""
        if self._h5py.check_string_dtype(dataset.dtype) and dataset.dtype.kind == 'O':
            return numpy.array(dataset.asstr()[()], dtype=str)
        tag = dataset.attrs.get('dtype')
        is_plain = dtype is not None and dtype.kind in 'biufc'
        data = numpy.empty(dataset.shape, dtype if is_plain else dataset.dtype)
        if data.size:
            dataset.read_direct(data)
        return to_extension_dtype(data, tag) if tag and dtype is None else data


def save_hdf5(filename, obj, compression=4):
    """Saves an object to an HDF5 file.

    Args:
        filename (str, os.PathLike or file object): Name, or a file open for reading and writing bytes. What a name
            stands for is replaced when the new file is complete; a file object is written directly.
        obj: Object with a method ``serialize``: a link, an optimizer, a trainer ...
        compression (int): Level of gzip compression, 0 to 9.
    """
    h5py = _import_h5py()
    with contextlib.nullcontext(filename) if hasattr(filename, 'write') else replacing(filename) as target:
        with h5py.File(target, 'w') as f:
            HDF5Serializer(f, compression).save(obj)


def load_hdf5(filename, obj):
    """Loads an object from an HDF5 file; if it does not fit, the links and optimizers in ``obj`` stay as they were.

    Args:
        filename (str, os.PathLike or file object): Name, or a file open for reading bytes that can seek.
        obj: Object with a method ``serialize``.

    Raises:
        OSError: if the file is not an HDF5 file or is damaged.
        KeyError: if the file lacks a value.
        ValueError: if an array has the wrong shape.
        TypeError: if a value cannot be cast.
    """
    h5py = _import_h5py()
    name = name_of(filename, 'the file')
    try:
        f = h5py.File(filename, 'r')
    except FileNotFoundError:
        raise
    except OSError as e:
        raise OSError(f'{name} is not an HDF5 file, or it is damaged: {e}') from e
    with f:
        deserializer = HDF5Deserializer(f)
        deserializer._file = name
        deserializer.load(obj)
