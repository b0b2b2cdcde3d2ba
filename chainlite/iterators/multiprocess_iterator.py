import os
import random
import signal
import threading
import warnings
import zlib

import numpy

from chainlite.iterators._prefetching_iterator import PrefetchingIterator
from chainlite.iterators.order_samplers import ShuffleOrderSampler  # noqa: F401  (a name Chainer has here)
from chainlite.serializer import Serializer


class MultiprocessIterator(PrefetchingIterator):
    """Takes the examples of the next batches in other processes while the caller works on the current one.

    The processes start with the first batch and get the dataset then, by ``fork`` or pickled, as ``multiprocessing`` is
    set up. A script whose start method is not ``fork`` needs the usual ``if __name__ == '__main__':``.

    Global random numbers of NumPy and Python that the dataset draws (for augmentation) are seeded anew for each
    batch and process: they differ between processes, and are the same again in a run with the same state of NumPy's
    global generator, the same ``n_processes``, or one that goes on from a snapshot.

    A process that dies makes the next batch raise a RuntimeError; none outlives the iterator or its parent.

    Args:
        dataset: Anything with ``len`` and integer indices.
        batch_size, repeat, shuffle, order_sampler: As for :class:`SerialIterator`.
        n_processes: Number of processes; None is the number of CPUs.
        n_prefetch: Number of batches fetched ahead.
        shared_mem: Accepted for compatibility.
        dataset_timeout: Seconds after which a :class:`TimeoutWarning` says that a batch takes long. Waiting goes on.
        maxtasksperchild: Number of parts of batches after which the processes are replaced, against datasets that leak
            memory; None keeps them.
    """

    class TimeoutWarning(RuntimeWarning):
        """A batch takes longer than ``dataset_timeout``."""

    _executor = None
    _interruption_testing = False

    def __init__(self, dataset, batch_size, repeat=True, shuffle=None, n_processes=None, n_prefetch=1, shared_mem=None,
                 order_sampler=None, dataset_timeout=30.0, maxtasksperchild=None):
        self.n_processes = n_processes or os.cpu_count() or 1
        self.n_prefetch = max(n_prefetch, 1)
        self.shared_mem = shared_mem
        self.dataset_timeout = dataset_timeout
        self._maxtasksperchild = maxtasksperchild
        self._seed = zlib.crc32(numpy.random.get_state()[1].tobytes())
        super().__init__(dataset, batch_size, repeat, shuffle, order_sampler)

    @property
    def _n_prefetch(self):
        return self.n_prefetch

    def _submit(self, indices):
        if self._executor is None:
            self._start_processes()
        n = -(-len(indices) // self.n_processes)
        parts = [indices[i:i + n] for i in range(0, len(indices), n)]
        state = self._ahead[-1][0] if self._ahead else self._state
        self._n_tasks += 1
        try:
            return [self._executor.submit(_fetch, part, (self._seed, state.epoch, state.current_position, i))
                    for i, part in enumerate(parts)]
        except RuntimeError as e:
            self._broken(e)

    def _receive(self, request):
        from concurrent.futures import BrokenExecutor
        try:
            batch = [example for future in request for example in self._wait(future)]
        except BrokenExecutor as e:
            self._broken(e)
        if self._maxtasksperchild is not None and self._n_tasks >= self._maxtasksperchild:
            self._stop_processes()
        return batch

    def _wait(self, future):
        from concurrent.futures import TimeoutError
        try:
            return future.result(self.dataset_timeout)
        except TimeoutError:
            if future.done():       # the dataset raised it
                raise
            warnings.warn(
                f'Stalled dataset is detected: a batch takes longer than {self.dataset_timeout} seconds. '
                'Is the dataset slow (then raise dataset_timeout), or does it wait for something that its process does '
                'not have, such as a lock or a thread of the parent?', MultiprocessIterator.TimeoutWarning)
            return future.result()

    def _start_processes(self):
        from concurrent.futures import ProcessPoolExecutor
        self._executor = ProcessPoolExecutor(self.n_processes, initializer=_initialize, initargs=(self.dataset,))
        self._n_tasks = 0

    def _stop_processes(self):
        """Lets the processes end after the batches that they have."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    def _broken(self, error):
        self.finalize()
        raise RuntimeError('a process of MultiprocessIterator has died (out of memory? killed? a crash in the dataset?)'
                           ) from error

    def finalize(self):
        """Ends the processes; batches that they are working on are given up."""
        self._finalized = True
        executor, self._executor = self._executor, None
        if executor is None:
            return
        self._ahead.clear()
        processes = list((getattr(executor, '_processes', None) or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()

    def __getstate__(self):
        state = {**self.__dict__, '_drawn_orders': type(self._drawn_orders)(self._orders_ahead())}
        state['_ahead'] = type(self._ahead)()
        state.pop('_executor', None)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __copy__(self):
        other = type(self).__new__(type(self))
        other.__setstate__(self.__getstate__())
        return other

    def serialize(self, serializer):
        """Saves or loads the position, the order, and the random states."""
        super().serialize(serializer)
        try:
            self._seed = serializer('worker_seed', self._seed)
        except KeyError:
            if isinstance(serializer, Serializer):
                raise


# The dataset of a worker process.
_dataset = None


def _initialize(dataset):
    global _dataset
    _dataset = dataset
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C is the parent's, which then ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    from multiprocessing import parent_process
    parent_process().join()
    os._exit(1)


def _fetch(indices, seed):
    words = numpy.random.SeedSequence(seed).generate_state(4)
    numpy.random.seed(words)
    random.seed(words.tobytes())
    return [_dataset[i] for i in indices]
