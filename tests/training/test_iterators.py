"""Iterators: the same batches whichever, exact positions, and workers that die."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy
import pytest

from chainlite import datasets, iterators
from chainlite.dataset import ConcatWithAsyncTransfer, concat_examples
from chainlite.serializers import DictionarySerializer, NpzDeserializer
from chainlite.testing import assert_allclose

on_host = pytest.mark.host('examples are chosen and made on the host')

KINDS = {
    'serial': iterators.SerialIterator,
    'thread': lambda *args, **kwargs: iterators.MultithreadIterator(*args, n_threads=2, **kwargs),
    'process': lambda *args, **kwargs: iterators.MultiprocessIterator(*args, n_processes=2, n_prefetch=5, **kwargs),
}


@pytest.fixture(params=KINDS)
def make(request):
    made = []

    def make(*args, **kwargs):
        made.append(KINDS[request.param](*args, **kwargs))
        return made[-1]

    make.kind = request.param
    yield make
    for iterator in made:
        iterator.finalize()


@on_host
@pytest.mark.parametrize('shuffle', [False, True])
def test_batches_larger_than_the_dataset_are_full(make, shuffle):
    it = make([0, 1, 2], 7, shuffle=shuffle)
    batches = [(it.next(), it.epoch, it.current_position, it.is_new_epoch) for _ in range(3)]
    assert [(epoch, position, new) for _, epoch, position, new in batches] == [(2, 1, True), (4, 2, True), (7, 0, True)]
    examples = sum((batch for batch, *_ in batches), [])
    assert all(sorted(examples[i : i + 3]) == [0, 1, 2] for i in range(0, 21, 3))
    assert shuffle or examples == [0, 1, 2] * 7


@on_host
def test_order_sampler_hears_where_the_epoch_was_left():
    positions = []

    def sample(order, position):
        positions.append(position)
        return numpy.arange(3)

    it = iterators.SerialIterator([0, 1, 2], 8, order_sampler=sample)
    for _ in range(2):
        it.next()
    assert positions == [0, 0, 0, 2, 0, 0]


@on_host
def test_batches_and_positions_in_order(make):
    it = make([0, 1, 2, 3, 4], 2, shuffle=False)
    seen = [(it.epoch, it.epoch_detail, it.previous_epoch_detail)]
    for _ in range(5):
        seen.append((it.next(), it.epoch, it.is_new_epoch, it.epoch_detail, it.previous_epoch_detail))
    assert seen == [
        (0, 0.0, None),
        ([0, 1], 0, False, 0.4, 0.0),
        ([2, 3], 0, False, 0.8, 0.4),
        ([4, 0], 1, True, 1.2, 0.8),
        ([1, 2], 1, False, 1.6, 1.2),
        ([3, 4], 2, True, 2.0, 1.6),
    ]


@on_host
def test_the_last_batch_is_smaller_without_repetition(make):
    it = make([0, 1, 2, 3, 4], 2, repeat=False, shuffle=False)
    for _ in range(2):
        assert list(it) == [[0, 1], [2, 3], [4]]
        assert it.is_new_epoch and it.epoch_detail == 1
        with pytest.raises(StopIteration):
            it.next()
        it.reset()


@pytest.mark.parametrize('convert', [concat_examples, ConcatWithAsyncTransfer()])
def test_batches_of_all_are_sent_to_a_device(make, convert, device):
    x, t = numpy.arange(12, dtype='f').reshape(6, 2), numpy.arange(6, dtype='i')
    it = make(datasets.TupleDataset(x, t), 4, shuffle=False)
    for expected in ([0, 1, 2, 3], [4, 5, 0, 1]):
        batch = convert(it.next(), device)
        assert all(isinstance(array, device.xp.ndarray) for array in batch)
        for array, of in zip(batch, (x, t)):
            assert array.dtype == of.dtype
            assert_allclose(array, of[expected], rtol=0, atol=0)


def test_examples_may_be_on_a_device(device):
    x = numpy.arange(6, dtype='f').reshape(3, 2)
    it = iterators.SerialIterator(device.send(x), 2, shuffle=False)
    for expected in ([0, 1], [2, 0]):
        batch = concat_examples(it.next())
        assert isinstance(batch, device.xp.ndarray)
        assert_allclose(batch, x[expected], rtol=0, atol=0)


@on_host
def test_shuffles_are_those_of_chainer(make):
    # By Chainer 7.8.1 after numpy.random.seed(0).
    numpy.random.seed(0)
    it = make(list(range(7)), 3)
    assert [it.next() for _ in range(6)] == [[6, 2, 1], [3, 0, 5], [4, 1, 0], [6, 3, 4], [2, 5, 6], [3, 5, 1]]


@on_host
def test_an_own_generator_is_that_of_chainer(make):
    it = make(list(range(7)), 3, order_sampler=iterators.ShuffleOrderSampler(numpy.random.RandomState(3)))
    assert [it.next() for _ in range(6)] == [[4, 6, 5], [3, 1, 0], [2, 6, 4], [1, 2, 3], [5, 0, 6], [1, 3, 4]]


@on_host
@pytest.mark.parametrize('generator', [numpy.random.RandomState, numpy.random.default_rng])
@pytest.mark.parametrize('other', KINDS)
@pytest.mark.parametrize('n', [0, 1, 2, 3, 7])
def test_a_loaded_position_goes_on_the_same(make, other, n, generator):
    def sampler(seed):
        return iterators.ShuffleOrderSampler(generator(seed))

    it = make(list(range(7)), 3, order_sampler=sampler(1))
    for _ in range(n):
        it.next()
    target = {}
    it.serialize(DictionarySerializer(target))
    expected = [(it.next(), it.epoch_detail) for _ in range(9)]
    loaded = KINDS[other](list(range(7)), 3, order_sampler=sampler(2))
    if n == 2:
        loaded.next()  # what it has fetched ahead does not count
    loaded.serialize(NpzDeserializer(target))
    assert [(loaded.next(), loaded.epoch_detail) for _ in range(9)] == expected
    loaded.finalize()


@on_host
def test_a_position_of_old_versions_is_loaded(make):
    old = {'current_position': 4, 'epoch': 0, 'is_new_epoch': False, '_order': numpy.arange(5, -1, -1)}
    it = make([0, 1, 2, 3, 4, 5], 2)
    it.serialize(NpzDeserializer({name: numpy.asarray(value) for name, value in old.items()}))
    assert it.previous_epoch_detail == pytest.approx(2 / 6)
    assert it.next() == [1, 0]


@on_host
def test_an_order_of_another_length_is_not_loaded(make):
    target = {}
    make(list(range(7)), 3).serialize(DictionarySerializer(target))
    with pytest.raises(ValueError):
        make(list(range(5)), 3).serialize(NpzDeserializer(target))


@on_host
def test_samplers_decide_the_length_of_an_epoch(make):
    it = make([0, 1, 2], 2, order_sampler=lambda order, position: numpy.repeat(numpy.arange(3), 2))
    assert [it.next() for _ in range(3)] == [[0, 0], [1, 1], [2, 2]]
    assert it.epoch_detail == 1


@on_host
def test_samplers_that_change_the_length_are_errors(make):
    it = make(list(range(6)), 6, order_sampler=lambda order, position: numpy.arange(len(order) - (position or 0)))
    with pytest.raises(ValueError, match='The size of order does not match'):
        for _ in range(9):
            it.next()
            it.order_sampler = lambda order, position: order[:3]


@on_host
def test_samplers_and_shuffle_exclude_each_other(make):
    with pytest.raises(ValueError, match='`shuffle` is not `None` and a custom `order_sampler` is set'):
        make([0], 1, shuffle=True, order_sampler=lambda order, position: order)


class Failing:
    def __init__(self, error=None):
        self.error = error

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 3:
            raise self.error
        return i


@on_host
@pytest.mark.parametrize('error', [ZeroDivisionError('in the dataset'), TimeoutError('in the dataset')])
def test_an_error_of_the_dataset_is_raised_with_its_batch(make, error):
    it = make(Failing(error), 2, shuffle=False)
    assert it.next() == [0, 1]
    with pytest.raises(type(error), match='in the dataset'):
        it.next()


class Suicidal(Failing):
    def __getitem__(self, i):
        if i == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return i


@on_host
def test_a_process_that_dies_is_an_error():
    it = iterators.MultiprocessIterator(Suicidal(), 2, shuffle=False, n_processes=1)
    with pytest.raises(RuntimeError, match='has died'):
        for _ in range(3):
            it.next()
    with pytest.raises(RuntimeError, match='finalized'):
        it.next()


@pytest.mark.host('processes of the host')
def test_less_than_one_process_is_an_error():
    with pytest.raises(ValueError, match='Number of processes must be at least 1, not -2'):
        iterators.MultiprocessIterator([1, 2], 1, n_processes=-2)


class WaitingAndSuicidal:
    """The first half takes long, and writes a file then; the process of the other half dies."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 2

    def __getitem__(self, i):
        if i == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
        self.path.touch()


@on_host
def test_the_death_of_a_process_does_not_wait_for_the_others(tmp_path):
    waited = tmp_path / 'waited'
    it = iterators.MultiprocessIterator(WaitingAndSuicidal(waited), 2, shuffle=False, n_processes=2)
    with pytest.raises(RuntimeError, match='has died'):
        it.next()
    assert not waited.exists()


class Slow(Failing):
    """The first example takes until a file is there, a minute at most."""

    def __init__(self, path):
        self.path = path

    def __getitem__(self, i):
        end = time.monotonic() + 60
        while i == 0 and not self.path.exists() and time.monotonic() < end:
            time.sleep(0.01)
        return i


@on_host
def test_a_slow_dataset_is_warned_of_and_waited_for(tmp_path):
    warned, told = tmp_path / 'warned', []

    def hear(message, category, *_):
        told.append((category, str(message)))
        warned.touch()

    iterator = iterators.MultiprocessIterator
    with iterator(Slow(warned), 3, shuffle=False, n_processes=1, dataset_timeout=0.05) as it, warnings.catch_warnings():
        warnings.simplefilter('always', iterator.TimeoutWarning)
        warnings.filterwarnings('ignore', '.*use of fork', DeprecationWarning)  # Python 3.12 and later
        warnings.showwarning = hear
        assert it.next() == [0, 1, 2]
    ((category, text),) = told
    assert category is iterator.TimeoutWarning and 'Stalled dataset' in text


class Noisy:
    def __len__(self):
        return 8

    def __getitem__(self, i):
        return numpy.random.randint(1 << 30), os.getpid()


@on_host
def test_processes_draw_different_numbers_and_the_same_in_the_next_run():
    runs = []
    for _ in range(2):
        numpy.random.seed(5)
        with iterators.MultiprocessIterator(Noisy(), 8, n_processes=2) as it:
            batches = [it.next() for _ in range(3)]
        assert len({pid for batch in batches for _, pid in batch}) >= 1
        runs.append([number for batch in batches for number, _ in batch])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 24


@on_host
def test_processes_are_replaced():
    with iterators.MultiprocessIterator(Noisy(), 8, n_processes=1, maxtasksperchild=2) as it:
        pids = [it.next()[0][1] for _ in range(9)]
    assert len(set(pids)) >= 3


@on_host
def test_a_finalized_iterator_of_processes_is_not_reset_one_of_threads_is():
    it = iterators.MultiprocessIterator([1, 2], 1, n_processes=1)
    it.next()
    it.finalize()
    it.finalize()
    with pytest.raises(NotImplementedError):
        it.reset()
    it = iterators.MultithreadIterator([1, 2], 1, repeat=False, shuffle=False)
    it.next()
    it.finalize()
    it.reset()
    assert list(it) == [[1], [2]]
    it.finalize()


@on_host
@pytest.mark.parametrize('duplicate', [copy.copy, lambda it: pickle.loads(pickle.dumps(it))])
def test_copies_go_on_by_themselves(duplicate):
    with iterators.MultiprocessIterator(list(range(5)), 2, n_processes=1, n_prefetch=4) as it:
        it.next()
        with duplicate(it) as other:
            assert [it.next() for _ in range(2)] == [other.next() for _ in range(2)]


class Pictures:
    """Arrays of different sizes, whose values say which they are."""

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return {'image': numpy.full((3, 20 + i, 30), i, 'f'), 'name': str(i), 'small': numpy.arange(i)}


def check_pictures(batch, indices):
    assert [example['name'] for example in batch] == [str(i) for i in indices]
    for i, example in zip(indices, batch):
        assert example['image'].shape == (3, 20 + i, 30) and (example['image'] == i).all()
        assert example['small'].tolist() == list(range(i))


@on_host
def test_large_arrays_come_whole_and_stay_as_they_are():
    with iterators.MultiprocessIterator(Pictures(), 8, shuffle=False, n_processes=3, n_prefetch=2) as it:
        kept = []
        for n in range(40):
            start = n * 8 % 40
            batch = it.next()
            check_pictures(batch, range(start, start + 8))
            if n % 7 == 0:
                kept.append((batch[3], start + 3))  # shared memory that is in use is not filled again
            if n % 5 == 0:
                batch[0]['image'][...] = -1  # and belongs to whoever has it
        for example, i in kept:
            check_pictures([example], [i])
    check_pictures([example for example, _ in kept], [i for _, i in kept])


@on_host
def test_memory_is_used_again():
    with iterators.MultiprocessIterator(Pictures(), 8, shuffle=False, n_processes=1, n_prefetch=1) as it:
        for _ in range(60):
            it.next()
        assert len(it._workers[0]._memory) <= 4


@on_host
def test_batches_ahead_are_dropped_on_reset():
    with iterators.MultiprocessIterator(Pictures(), 8, shuffle=False, n_processes=2, n_prefetch=4) as it:
        for n in (3, 1, 2):
            for i in range(n):
                check_pictures(it.next(), range(8 * i, 8 * i + 8))
            it.reset()


@on_host
@pytest.mark.parametrize('method', ['spawn', 'forkserver'])
def test_other_start_methods(method, tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(f"""
import multiprocessing
import numpy
from chainlite import iterators

if __name__ == '__main__':
    multiprocessing.set_start_method({method!r})
    data = numpy.arange(40000, dtype='f').reshape(4, 10000)
    with iterators.MultiprocessIterator(data, 2, shuffle=False, n_processes=2) as it:
        print([[int(x[1]) for x in it.next()] for _ in range(3)])
""")
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, '-W', 'error', script], env=env, capture_output=True, text=True, timeout=300)
    assert done.stdout == '[[1, 10001], [20001, 30001], [1, 10001]]\n', done.stderr


SCRIPT = """
import time
from chainlite import iterators
it = iterators.MultiprocessIterator(list(range(7)), 3, n_processes=3)
it.next()
print(*(worker.pid for worker in it._workers), flush=True)
time.sleep(600)
"""


@on_host
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_their_parent(number):
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    parent = subprocess.Popen(
        [sys.executable, '-c', SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    )
    pids = parent.stdout.readline().decode().split()
    assert len(pids) == 3
    parent.send_signal(number)
    parent.wait(60)
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False
