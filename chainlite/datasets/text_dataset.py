"""Datasets of lines of text files."""

import os
import threading

from chainlite.dataset.dataset_mixin import DatasetMixin


class TextDataset(DatasetMixin):
    """Lines of a text file, or tuples of the lines of several files with as many lines.

    The files stay open, and lines are read when they are asked for; only their positions are in memory.

    Args:
        paths: Path of the file, or a list of paths.
        encoding, errors, newline: As for :func:`open`; one value for all files or a list with one for each.
        filter_func: Function of the lines with one number, one argument per file; lines for which it is false are
            not in the dataset.

    Raises:
        ValueError: if no path is given, or the files have different numbers of lines.
    """

    def __init__(self, paths, encoding=None, errors=None, newline=None, filter_func=None):
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        if not len(paths):
            raise ValueError('at least one text file must be specified')
        options = [
            [value] * len(paths) if value is None or isinstance(value, str) else list(value)
            for value in (encoding, errors, newline)
        ]
        if any(len(values) != len(paths) for values in options):
            raise ValueError('length of each option must match with the number of text files to read')
        self._paths = list(paths)
        self._encoding, self._errors, self._newline = options
        self._open()
        self._bounds = tuple(_line_starts(fp) for fp in self._fps)
        counts = {len(bounds) for bounds in self._bounds}
        if len(counts) != 1:
            self.close()
            raise ValueError('number of lines in files does not match')
        self._lines = range(counts.pop())
        if filter_func is not None:
            self._lines = [i for i in self._lines if filter_func(*self._read(i))]

    def _open(self):
        self._pid = os.getpid()
        self._lock = threading.Lock()
        options = zip(self._paths, self._encoding, self._errors, self._newline)
        self._fps = [
            open(path, encoding=encoding, errors=errors, newline=newline) for path, encoding, errors, newline in options
        ]

    def _read(self, line):
        if self._pid != os.getpid():
            self._open()  # a child process must not move the parent's position in the file
        with self._lock:
            return tuple([_read_at(fp, bounds[line]) for fp, bounds in zip(self._fps, self._bounds)])

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name not in ('_fps', '_lock')}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open()

    def __len__(self):
        return len(self._lines)

    def close(self):
        """Closes all files; if that fails for one, the others are closed before the error is raised."""
        error = None
        for fp in self._fps:
            try:
                fp.close()
            except Exception as e:
                error = error or e
        if error is not None:
            raise error

    def get_example(self, idx):
        if not 0 <= idx < len(self._lines):
            raise IndexError(f'index {idx} is out of bounds for a dataset of {len(self._lines)} lines')
        lines = self._read(self._lines[idx])
        return lines[0] if len(lines) == 1 else lines


def _line_starts(fp):
    starts = []
    while True:
        start = fp.tell()
        if not fp.readline():
            return starts
        starts.append(start)


def _read_at(fp, position):
    fp.seek(position)
    return fp.readline()
