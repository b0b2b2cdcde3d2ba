"""Saving to and loading from NumPy's npz files.

An npz file is a zip archive with one npy file per value, named by the value's path (``l1/W.npy``). Beyond plain NumPy:

- None is an object array that holds None, as in Chainer. Such an entry is a pickle: it is written and recognised here
  byte by byte, nothing is ever pickled or unpickled.
- A dtype that NumPy lacks (bfloat16) is stored as float32, which holds the same values and which Chainer reads; a
  second entry, ``l1/W@dtype``, says what it was.
"""

import contextlib
import io
import os
import re
import struct

import numpy
from numpy.lib import format as npy

from chainlite import backend
from chainlite.serializer import Deserializer, Serializer, extension_dtype, to_extension_dtype
from chainlite.utils.atomic import replacing

_DTYPE = '@dtype'
_LARGE = 1 << 20  # bytes of a file that is worth several threads
_HEADER = 1 << 16  # bytes that surely hold the header of an npy file
_PICKLED = object()  # stands for an entry that only unpickling could read

# np.array(None, dtype=object) as NumPy 1 pickles it: NumPy 2 writes numpy._core, which NumPy 1 cannot import.
_NONE_PICKLE = (
    b'\x80\x03cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02C\x01bq\x03\x87q\x04Rq\x05'
    b'(K\x01)cnumpy\ndtype\nq\x06X\x02\x00\x00\x00O8q\x07\x89\x88\x87q\x08Rq\t(K\x03X\x01\x00\x00\x00|q\nNNN'
    b'J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x0bb\x89]q\x0cNatq\rb.'
)
# How that pickle ends in every binary protocol: the list of values [None], closed by the tuple of the array's state.
_ENDS_IN_NONE = re.compile(rb'\](?:q.|\x94)?Nat(?:q.|\x94)?b\.\Z', re.DOTALL)


class DictionarySerializer(Serializer):
    """Saves into a dictionary from paths to NumPy arrays.

    Args:
        target (dict): Where the arrays go; a new dictionary if None. NumPy arrays are stored as they are, not copied.
        path (str): What the paths begin with; ``'child/'`` saves below ``child``.

    Attributes:
        target (dict): The dictionary.
    """

    def __init__(self, target=None, path=''):
        self.target = {} if target is None else target
        self.path = path

    def __getitem__(self, key):
        return DictionarySerializer(self.target, self.path + key.strip('/') + '/')

    def __call__(self, key, value):
        key = self.path + key.lstrip('/')
        if value is None:
            self.target[key] = numpy.array(None, dtype=object)
            return value
        array = numpy.asarray(backend.CpuDevice().send(value))
        tag = extension_dtype(array)
        if tag:
            self.target[key + _DTYPE] = numpy.array(tag)
            array = array.astype(numpy.float32)
        self.target[key] = array
        return value


class NpzDeserializer(Deserializer):
    """Loads from an npz file or a dictionary of arrays.

    Args:
        npz (numpy.lib.npyio.NpzFile or dict): The arrays by path.
        path (str): What the paths begin with; ``'child/'`` loads what lies below ``child``.
        strict (bool): If False, a value that the file lacks stays as it is; otherwise it is a KeyError.
        ignore_names (str, callable or list of them): Paths of the entries to leave alone, or functions that are given a
            path and return whether to.
    """

    def __init__(self, npz, path='', strict=True, ignore_names=None):
        self.npz = npz
        self.path = path
        self.strict = strict
        self.ignore_names = _listed(ignore_names)
        self._file = name_of(getattr(npz, 'fid', None), 'the dictionary')

    def __getitem__(self, key):
        child = NpzDeserializer(self.npz, self.path + key.strip('/') + '/', self.strict, self.ignore_names)
        child._file = self._file
        child._overwritten = self._overwritten
        return child

    def __call__(self, key, value):
        key = self.path + key.lstrip('/')
        if _is_ignored(key, self.ignore_names):
            return value
        if key not in self.npz:
            if not self.strict:
                return value
            raise KeyError(f'{self._file} has no entry {key!r} (strict=False leaves values without entry as they are)')
        where = f'{self._file}: entry {key!r}'
        data = self._stored(key, where)
        if data is None:
            return None
        if isinstance(value, backend.get_array_types()):
            return self._write(value, data, where)
        if value is None:
            return data.copy()
        kind = type(value)
        if numpy.issubdtype(data.dtype, numpy.number) and not numpy.can_cast(data.dtype, kind):
            raise TypeError(
                f'Cannot safely deserialize from numpy array with dtype={data.dtype} into a variable of type {kind}.'
                f' ({where})'
            )
        return convert(data, kind, where)

    def _stored(self, key, where):
        """The array of one entry in the dtype that it was saved with, or None where None was saved."""
        data = self._entry(key)
        if data is _PICKLED:
            raise ValueError(f'{where} is a pickled object, which is not loaded: unpickling can run any code')
        if data.dtype == object and data.shape == () and data[()] is None:
            return None
        if key + _DTYPE in self.npz:
            return to_extension_dtype(data, str(self._entry(key + _DTYPE)))
        return data

    def _entry(self, key):
        if isinstance(self.npz, numpy.lib.npyio.NpzFile):
            return _read_entry(self.npz.zip, key, self._file)
        entry = self.npz[key]
        return entry if entry is _PICKLED else numpy.asarray(entry)


def convert(data, kind, where):
    """Makes a value of the type ``kind`` (int, float, str ...) of a loaded array."""
    try:
        return kind(data.reshape(()) if data.size == 1 else data)
    except TypeError as e:
        raise TypeError(f'{where} does not fit a value of type {kind.__name__}: {e}') from None
    except ValueError as e:
        raise ValueError(f'{where} does not fit a value of type {kind.__name__}: {e}') from None


def serialize(obj):
    """Saves an object into a dictionary.

    Args:
        obj: Object with a method ``serialize``.

    Returns:
        dict: NumPy arrays by path.
    """
    serializer = DictionarySerializer()
    serializer.save(obj)
    return serializer.target


def save_npz(file, obj, compression=True):
    """Saves an object to an npz file.

    Args:
        file (str, os.PathLike or file object): Name, which gets no suffix, or a file open for writing bytes. What a
            name stands for is replaced when the new file is complete; a file object is written directly.
        obj: Object with a method ``serialize``: a link, an optimizer, a trainer ...
        compression (bool): If True, the entries are compressed: for trained weights about 8 % smaller, and slower.
    """
    entries = serialize(obj)
    if hasattr(file, 'write'):
        _write_entries(file, entries, compression)
        return
    with replacing(file) as temporary, open(temporary, 'wb') as f:
        _write_entries(f, entries, compression)


def load_npz(file, obj, path='', strict=True, ignore_names=None):
    """Loads an object from an npz file.

    The whole file is read and checked before the object is touched; if it does not fit, the links and optimizers in
    ``obj`` stay as they were.

    Args:
        file (str, os.PathLike or file object): Name, or a file open for reading bytes that can seek.
        obj: Object with a method ``serialize``.
        path (str): What the paths begin with: ``'updater/model:main/'`` loads the model of a trainer's snapshot.
        strict (bool): If False, values that the file lacks stay as they are.
        ignore_names (str, callable or list of them): Paths of the entries to leave alone, or functions that are given a
            path and return whether to.

    Raises:
        zipfile.BadZipFile: if the file is not an npz file or is damaged.
        KeyError: if the file lacks a value, unless ``strict`` is False.
        ValueError: if an array has the wrong shape, or is a pickled Python object.
        TypeError: if a value cannot be cast safely.
    """
    name = name_of(file, 'the file')
    ignored = _listed(ignore_names)
    with contextlib.nullcontext(file) if hasattr(file, 'read') else open(file, 'rb') as f:
        entries = _read_entries(f, name, lambda key: key.startswith(path) and not _is_ignored(key, ignored))
    deserializer = NpzDeserializer(entries, path, strict, ignored)
    deserializer._file = name
    deserializer.load(obj)


def _listed(ignore_names):
    names = [] if ignore_names is None else ignore_names
    names = list(names) if isinstance(names, (list, tuple, set)) else [names]
    if not all(isinstance(name, str) or callable(name) for name in names):
        raise ValueError('ignore_names needs to be a callable, string or list of them.')
    return names


def _is_ignored(key, ignore_names):
    return any(key == name if isinstance(name, str) else name(key) for name in ignore_names)


def name_of(file, otherwise):
    """The name of a file given by name or as an object, for messages."""
    name = file if isinstance(file, (str, os.PathLike)) else getattr(file, 'name', None)
    return os.fspath(name) if isinstance(name, (str, os.PathLike)) else otherwise


def _write_entries(file, entries, compression):
    import zipfile
    import zlib

    method = zipfile.ZIP_DEFLATED if compression else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, 'w', method, compresslevel=1) as archive:
        for key, value in entries.items():
            array = numpy.asarray(value, order='C')
            if array.dtype.hasobject and not (array.shape == () and array[()] is None):
                raise TypeError(f'{key!r} is an array of objects, which is not saved: it would have to be pickled')
            with archive.open(key + '.npy', 'w', force_zip64=True) as f:
                if compression:
                    # Weights hardly repeat: only runs are looked for, which is three times as fast and no larger.
                    f._compressor = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)
                npy.write_array_header_1_0(f, npy.header_data_from_array_1_0(array))
                f.write(_NONE_PICKLE if array.dtype.hasobject else array.reshape(-1).view(numpy.uint8))


def _read_entries(file, name, wanted):
    """Reads the entries whose path is wanted into a dictionary."""
    import concurrent.futures
    import zipfile

    content = file.read()
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile:
        raise zipfile.BadZipFile(f'{name} is not an npz file, or it is cut short') from None
    keys = [key.removesuffix('.npy') for key in archive.namelist() if key.endswith('.npy')]
    if archive.namelist() and not keys:
        raise zipfile.BadZipFile(f'{name} is a zip archive, but not an npz file: it has no npy entries')
    keys = [key for key in keys if wanted(key)]
    if len(content) < _LARGE:
        return {key: _read_entry(archive, key, name, content) for key in keys}
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # zlib lets other threads run
        return dict(zip(keys, pool.map(lambda key: _read_entry(archive, key, name, content), keys)))


def _unpacked(archive, key, content):
    """The bytes of an entry, checked; ``content`` is the whole file if it was read."""
    import zipfile
    import zlib

    info = archive.getinfo(key + '.npy')
    if content is None or info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return archive.read(info)
    start = info.header_offset + 30 + sum(struct.unpack_from('<HH', content, info.header_offset + 26))
    data = memoryview(content)[start : start + info.compress_size]
    if info.compress_type == zipfile.ZIP_DEFLATED:
        data = zlib.decompress(data, -zlib.MAX_WBITS, max(info.file_size, 1))
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise ValueError('the check sum is wrong')
    return data


def _read_entry(archive, key, name, content=None):
    """Reads an entry of an open zip archive: an array, which cannot be written to, or _PICKLED."""
    import zipfile

    try:
        data = _unpacked(archive, key, content)
        stream = io.BytesIO(data[:_HEADER])
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
        if not dtype.hasobject:
            order = 'F' if fortran_order else 'C'
            return numpy.ndarray(shape, dtype, data, stream.tell(), order=order)
    except Exception as e:  # zlib, zipfile and NumPy raise a dozen types on bytes that make no sense
        raise zipfile.BadZipFile(f'{name}: entry {key!r} is damaged: {e}') from e
    if shape == () and _ENDS_IN_NONE.search(data):
        return numpy.array(None, dtype=object)
    return _PICKLED
