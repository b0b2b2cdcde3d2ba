"""How examples come from a worker process to its parent: numbers and arrays in shared memory, the rest pickled.

A part of a batch is a list of runs. In a run, all examples are alike: tuples of one length, or dictionaries with the
same keys, with arrays of the same shapes. Each is a record in shared memory, all records are of one size, and the
parent gets its arrays by slicing, which takes a tenth of the time of pickles. An example with anything else in it
(lists, objects) is pickled, and its large buffers lie in shared memory.

The memory has no name in any file system: its file descriptors are sent. So none is left behind, however the processes
end, and the size of /dev/shm is no limit.
"""

import itertools
import mmap
import os
import pickle
import socket

import numpy

_LARGE = (
    512  # bytes: smaller arrays are copied by the parent, so that they do not keep a piece of memory from being used
)
_ALIGNMENT = 64
_PLAIN = {int, float, complex, bool, str, bytes, type(None)}


def _aligned(n):
    return -(-n // _ALIGNMENT) * _ALIGNMENT


def _parts(example):
    """Returns what holds the fields of an example (tuple, the keys of a dictionary, None) and the fields."""
    if type(example) is tuple:
        return tuple, example
    if type(example) is dict:
        return tuple(example), tuple(example.values())
    return None, (example,)


def _layout(value):
    """Returns (dtype, shape) of an array, (dtype, None) of a number of NumPy, () of plain values, None of others."""
    if type(value) is numpy.ndarray:
        return None if value.dtype.hasobject or not value.size else (value.dtype, value.shape)
    if isinstance(value, (numpy.number, numpy.bool_)):
        return value.dtype, None
    return () if type(value) in _PLAIN else None


class _Run:
    """Examples that are alike, in records one after the other.

    Args:
        form, layouts: What :func:`_parts` and :func:`_layout` say of them.
    """

    def __init__(self, form, layouts):
        self.form, self.layouts = form, layouts
        self.count = 0
        self.start = None  # of the first record
        self.offsets, self.size = [], 0  # of the arrays in a record, and of the record
        self.plain = [[] for layout in layouts if not layout]
        for dtype, shape in filter(None, layouts):
            self.offsets.append(self.size)
            self.size += _aligned(dtype.itemsize * numpy.prod(shape or (), dtype=int).item())

    def add(self, fields, memory):
        start = memory.take(self.size) if self.size else 0
        if self.start is None:
            self.start = start
        plain, offsets = iter(self.plain), iter(self.offsets)
        for value, layout in zip(fields, self.layouts):
            if layout:
                dtype, shape = layout
                numpy.ndarray(shape or (), dtype, memory.piece, start + next(offsets))[...] = value
            else:
                next(plain).append(value)
        self.count += 1

    def _column(self, layout, offset, memory):
        dtype, shape = layout
        inner = numpy.ndarray(shape or (), dtype, memory, self.start + offset)
        column = numpy.ndarray(
            (self.count, *inner.shape), dtype, memory, self.start + offset, (self.size, *inner.strides)
        )
        if inner.nbytes < _LARGE:
            column = column.copy()
        return column if shape != () else [column[i, ...] for i in range(self.count)]

    def examples(self, memory):
        """Returns the list of examples, views of the piece of memory (1-D uint8)."""
        plain, offsets = iter(self.plain), iter(self.offsets)
        columns = [self._column(layout, next(offsets), memory) if layout else next(plain) for layout in self.layouts]
        if self.form is None:
            return list(columns[0])
        if not columns:
            return [() if self.form is tuple else {} for _ in range(self.count)]
        if self.form is tuple:
            return list(zip(*columns))
        return [dict(zip(self.form, values)) for values in zip(*columns)]


def pack(examples, memory):
    """Puts examples into shared memory, one by one, so that a dataset can fill the same array again and again.

    Args:
        examples: Iterable of examples.
        memory: :class:`SharedMemory`.

    Returns:
        List of runs, and of pickles of single examples each with its number of buffers.
    """
    runs = []
    for example in examples:
        form, fields = _parts(example)
        layouts = [_layout(value) for value in fields]
        if None in layouts:
            n = len(memory.buffers)
            runs.append((pickle.dumps(example, protocol=5, buffer_callback=memory.add), len(memory.buffers) - n))
            continue
        last = runs[-1] if runs else None
        if type(last) is not _Run or last.form != form or last.layouts != layouts:
            last = _Run(form, layouts)
            runs.append(last)
        last.add(fields, memory)
    return runs


def unpack(runs, buffers, memory):
    """Returns the examples that :func:`pack` was given.

    Args:
        runs: What it returned.
        buffers: Places of the buffers of pickles.
        memory: The piece of memory, 1-D uint8.
    """
    buffers = (memory[start : start + size] for start, size in buffers)
    examples = []
    for run in runs:
        if type(run) is _Run:
            examples += run.examples(memory)
        else:
            data, n = run
            examples.append(pickle.loads(data, buffers=itertools.islice(buffers, n)))
    return examples


class SharedMemory:
    """The pieces of shared memory of a worker; one is being filled.

    Attributes:
        free: Numbers of those that can be filled.
        piece: The one that is being filled.
        buffers: (start, size) of what :meth:`add` has put there.
    """

    def __init__(self):
        self.free = []
        self._pieces = {}  # by number
        self._unsent = {}  # file descriptors, by number
        self._n = 0
        self._start()

    def _start(self):
        self._number = self.piece = None
        self._end = 0
        self._replaced = []
        self.buffers = []

    def take(self, size):
        """Returns where the next `size` bytes of the piece begin; what was in it may have moved to another one."""
        start, end = self._end, self._end + size
        if self.piece is None or end > len(self.piece):
            self._extend(end)
        self._end = _aligned(end)
        return start

    def add(self, buffer):
        """Copies a PickleBuffer; returns True, and does not, if it is better kept in the pickle."""
        raw = buffer.raw()
        if raw.nbytes < _LARGE:
            return True
        start = self.take(raw.nbytes)
        memoryview(self.piece)[start : start + raw.nbytes] = raw
        self.buffers.append((start, raw.nbytes))
        return False

    def finish(self):
        """Returns the places of the buffers, the number of the piece (None if there is none), and the numbers of the
        pieces that are no more."""
        result = self.buffers, self._number, self._replaced
        self._start()
        return result

    def send(self, number, connection):
        """Sends a piece, unless it was sent before; the other side calls :func:`receive_piece`."""
        if number in self._unsent:
            with socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
                socket.send_fds(end, [b'.'], [self._unsent[number]])
            os.close(self._unsent.pop(number))

    def _extend(self, size):
        """Goes over to a piece with at least this size."""
        number = next((number for number in self.free if len(self._pieces[number]) >= size), None)
        if number is not None:
            self.free.remove(number)
        else:
            if self.free:
                self._drop(self.free.pop())
            number = self._make(2 * size)
        if self._number is not None:
            self._pieces[number][: self._end] = self.piece[: self._end]
            self._drop(self._number)
        self._number, self.piece = number, self._pieces[number]

    def _make(self, size):
        self._n += 1
        self._unsent[self._n] = descriptor = _anonymous_file()
        os.ftruncate(descriptor, size)  # pages that are not written cost nothing
        self._pieces[self._n] = mmap.mmap(descriptor, size)
        return self._n

    def _drop(self, number):
        del self._pieces[number]
        if number in self._unsent:
            os.close(self._unsent.pop(number))
        self._replaced.append(number)


def _anonymous_file():
    """Returns a descriptor of a file without a name, in memory where the system has such files."""
    if hasattr(os, 'memfd_create'):
        return os.memfd_create('chainlite')
    from tempfile import TemporaryFile

    with TemporaryFile() as file:
        return os.dup(file.fileno())


def receive_piece(connection):
    """Returns the piece of memory that the other side of a connection sends."""
    with socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
        _, descriptors, _, _ = socket.recv_fds(end, 1, 1)
    if not descriptors:
        raise EOFError
    try:
        return mmap.mmap(descriptors[0], 0)
    finally:
        os.close(descriptors[0])
