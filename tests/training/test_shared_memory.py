"""What worker processes put into shared memory comes out as pickling it at once would give it."""

import contextlib
import gc
import multiprocessing
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest

from chainlite.iterators._shared_memory import SharedMemory, pack, receive_piece, unpack

pytestmark = pytest.mark.host('memory that processes of the host share')

RNG = np.random.RandomState(0)


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and np.array_equal(self.x, other.x)


def picture(*shape, dtype='f'):
    return (RNG.standard_normal(shape) * 9).astype(dtype)


EXAMPLES = {
    'pictures with labels of NumPy': [(picture(3, 8, 8), np.int32(i)) for i in range(5)],
    'pictures with labels of Python': [(picture(3, 8, 8, dtype='uint8'), i) for i in range(5)],
    'pictures alone': [picture(3, 9, 9) for _ in range(4)],
    'one dimension': [picture(1000) for _ in range(3)],
    'small arrays': [(picture(3), picture(), picture(2, 2, dtype='e')) for _ in range(3)],
    'dictionaries': [{'x': picture(4, 50), 'name': str(i), 'flag': np.bool_(i % 2)} for i in range(3)],
    'numbers': [np.float16(3), np.float64(2), 5, 2.5, None, 'text', b'bytes', True, 1j],
    'one after the other': [*range(3), (1, 2), (1, 2, 3), {'a': 1}, {'b': 1}, np.int8(1), {'b': 2}],
    'shapes that change': [(picture(i, 70), picture(70, i)) for i in (1, 2, 2, 3, 1)],
    'nothing in them': [(), (), {}, {}, picture(0, 3), (picture(2, 0), 1)],
    'orders of memory': [(picture(20, 30).T, picture(40, 40)[::-2, ::3], np.asfortranarray(picture(9, 9)))] * 2,
    'orders of bytes': [picture(3, 70).astype('>f4'), np.array(['2020-01-01'], 'M8[D]'), np.array(['some', 'text'])],
    'records': [np.array([(1, 2.5)] * 60, [('a', 'i4'), ('b', 'f8')])] * 2,
    'objects': [Point(picture(20, 20)), np.array([Point(1), None]), [picture(300), picture(2)], (1, [2])],
    'objects among pictures': [
        (picture(300), 1),
        (picture(300), Point(picture(300))),
        (picture(300), Point(picture(2))),
        (picture(300), 2),
        (picture(300), 3),
    ],
    'subclasses': [np.ma.masked_array(picture(300), picture(300) > 0), np.str_('text')],
}


def through_memory(examples):
    """The examples as the parent gets them, and the array that they are views of."""
    memory = SharedMemory()
    runs = pickle.loads(pickle.dumps(pack(iter(examples), memory)))
    buffers, number, _ = memory.finish()
    piece = None
    if number is not None:
        here, there = multiprocessing.Pipe()
        with here, there:
            memory.send(number, there)
            piece = np.frombuffer(receive_piece(here), np.uint8)
    return unpack(runs, buffers, piece), piece


def assert_same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, np.ma.MaskedArray):
        assert_same(found.data, expected.data)
        assert_same(found.mask, expected.mask)
    elif isinstance(expected, (np.ndarray, np.generic)):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, strict=True)
    elif isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for f, e in zip(found, expected):
            assert_same(f, e)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        assert_same(list(found.values()), list(expected.values()))
    else:
        assert found == expected


@pytest.mark.parametrize('name', EXAMPLES)
def test_examples_come_as_they_were(name):
    examples = EXAMPLES[name]
    found, _ = through_memory(examples)
    assert_same(found, pickle.loads(pickle.dumps(examples, protocol=5)))


def test_a_dataset_may_fill_the_same_array_again_and_again():
    array, record = picture(100, 30), [picture(100, 30)]

    def examples():
        for i in range(4):
            array[...] = record[0][...] = i
            yield (array, i) if i < 2 else record

    found, _ = through_memory(examples())
    assert [x[0].mean() for x in found] == [0, 1, 2, 3]


def test_large_arrays_are_views_that_can_be_written_and_small_ones_are_not():
    """A small one must not keep a piece of memory, which is free when the last view of it is gone."""
    found, piece = through_memory([(picture(200), picture(3), np.int32(4))] * 3)
    for large, small, number in found:
        assert np.shares_memory(large, piece)
        assert not np.shares_memory(small, piece)
        assert isinstance(number, np.int32)
        large[...] = small[...] = 0
    assert not any(large.any() for large, _, _ in found)
    assert all(large.base is piece for large, _, _ in found)


def test_an_error_among_examples_is_raised():
    def examples():
        yield picture(300)
        raise ZeroDivisionError

    memory = SharedMemory()
    with pytest.raises(ZeroDivisionError):
        pack(examples(), memory)
    memory._drop(memory.finish()[1])


def test_a_piece_is_sent_once_and_nothing_stays_open():
    here, there = multiprocessing.Pipe()
    files = Path('/proc/self/fd')
    ends = {str((files / str(end.fileno())).readlink()) for end in (here, there)}

    def open_files():
        """Of the connection, and without a name: threads of other tests may have files of their own."""
        n = 0
        for file in files.iterdir():
            with contextlib.suppress(FileNotFoundError):  # that of the folder itself
                n += (name := str(file.readlink())) in ends or name.endswith(' (deleted)')
        return n

    gc.collect()
    before, memory = open_files(), SharedMemory()
    pack([picture(1000)] * 3, memory)  # moves to a larger piece on the way
    _, number, _ = memory.finish()
    memory.send(number, there)
    piece = receive_piece(here)
    memory.send(number, there)
    assert not here.poll()
    assert open_files() == before + 2  # a mapping here and one there
    piece.close()
    memory._drop(number)
    assert open_files() == before
    there.close()
    with pytest.raises(EOFError):
        receive_piece(here)


def test_memory_has_no_name_on_other_systems_either(monkeypatch, tmp_path):
    monkeypatch.delattr(os, 'memfd_create', raising=False)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    examples = [picture(1000)] * 3
    assert_same(through_memory(examples)[0], examples)
    assert not list(tmp_path.iterdir())
