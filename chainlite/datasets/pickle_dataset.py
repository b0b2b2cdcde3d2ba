"""Datasets of arbitrary objects in one file: pickles, one after the other."""

import pickle
import threading

from chainlite.dataset.dataset_mixin import DatasetMixin


class PickleDataset(DatasetMixin):
    """A dataset that reads pickled objects from a file when they are asked for.

    Unpickling runs code that the file names: open only files that you trust.

    Args:
        reader: Binary file open for reading, with ``seek``. If it has a method ``after_fork``, that is called in
            child processes, which must not share a position in the file.
    """

    def __init__(self, reader):
        self._reader = reader
        self._positions = self._find_positions(reader)
        self._prepare()

    def _prepare(self):
        self._lock = threading.RLock()
        if hasattr(self._reader, 'after_fork'):
            import multiprocessing.util

            multiprocessing.util.register_after_fork(self, PickleDataset._after_fork)

    def _after_fork(self):
        self._lock = threading.RLock()
        self._reader.after_fork()

    @staticmethod
    def _find_positions(reader):
        positions = []
        reader.seek(0)
        while True:
            position = reader.tell()
            try:
                pickle.load(reader)
            except EOFError:
                return positions
            positions.append(position)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != '_lock'}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._prepare()

    def __len__(self):
        return len(self._positions)

    def get_example(self, index):
        with self._lock:
            self._reader.seek(self._positions[index])
            return pickle.load(self._reader)

    def close(self):
        """Closes the file."""
        with self._lock:
            self._reader.close()

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        self.close()


class PickleDatasetWriter:
    """Writes objects for :class:`PickleDataset`.

    Args:
        writer: Binary file open for writing.
        protocol: Version of the pickle format.
    """

    def __init__(self, writer, protocol=pickle.HIGHEST_PROTOCOL):
        self._writer = writer
        self._protocol = protocol

    def write(self, x):
        """Appends an object."""
        # Dumped at once: if x can not be pickled, nothing of it is in the file.
        self._writer.write(pickle.dumps(x, protocol=self._protocol))

    def flush(self):
        """Flushes the file."""
        self._writer.flush()

    def close(self):
        """Closes the file."""
        self._writer.close()

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        self.close()


class _FileReader:
    """A file that child processes and copies open anew."""

    def __init__(self, path):
        self._path = path
        self._open()

    def _open(self):
        self._file = open(self._path, 'rb')

    def __getattr__(self, name):
        if name.startswith('_'):  # not there yet while the object is being unpickled
            raise AttributeError(name)
        return getattr(self._file, name)

    def after_fork(self):
        self._file.close()
        self._open()

    def __getstate__(self):
        return self._path

    def __setstate__(self, path):
        self._path = path
        self._open()


def open_pickle_dataset(path):
    """Opens a file of pickled objects as a :class:`PickleDataset`, which several processes can read at once."""
    reader = _FileReader(path)
    try:
        return PickleDataset(reader)
    except Exception:
        reader.close()
        raise


def open_pickle_dataset_writer(path, protocol=pickle.HIGHEST_PROTOCOL):
    """Creates a file of pickled objects and returns the :class:`PickleDatasetWriter` for it."""
    return PickleDatasetWriter(open(path, 'wb'), protocol)
