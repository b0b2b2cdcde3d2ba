import os
import warnings
import zlib

import numpy

from chainlite.iterators._prefetching_iterator import PrefetchingIterator
from chainlite.iterators._worker import Worker, WorkerDied, receive
from chainlite.iterators.order_samplers import ShuffleOrderSampler  # noqa: F401  (a name Chainer has here)
from chainlite.serializer import Serializer


class MultiprocessIterator(PrefetchingIterator):
    """Takes the examples of the next batches in other processes while the caller works on the current one.

    The processes start with the first batch and get the dataset then, by ``fork`` or pickled, as ``multiprocessing`` is
    set up. A script whose start method is not ``fork`` needs the usual ``if __name__ == '__main__':``.

    Global random numbers of NumPy and Python that the dataset draws (for augmentation) are seeded anew for each
    batch and process: they differ between processes, and are the same again in a run with the same state of NumPy's
    global generator, the same ``n_processes``, or one that goes on from a snapshot.

    A process that dies makes the next batch raise a RuntimeError; none outlives the iterator or its parent. Large
    arrays come through shared memory, which is freed when all arrays of a part of a batch are.

    Args:
        dataset: Anything with ``len`` and integer indices.
        batch_size, repeat, shuffle, order_sampler: As for :class:`SerialIterator`.
        n_processes: Number of processes; None is the number of CPUs.
        n_prefetch: Number of batches fetched ahead.
        shared_mem: Accepted for compatibility: how much shared memory is needed is found out.
        dataset_timeout: Seconds after which a :class:`TimeoutWarning` says that a batch takes long. Waiting goes on.
        maxtasksperchild: Number of parts of batches after which a process is replaced, against datasets that leak
            memory; None keeps them.
    """

    class TimeoutWarning(RuntimeWarning):
        """A batch takes longer than ``dataset_timeout``."""

    _workers = ()
    _interruption_testing = False

    def __init__(
        self,
        dataset,
        batch_size,
        repeat=True,
        shuffle=None,
        n_processes=None,
        n_prefetch=1,
        shared_mem=None,
        order_sampler=None,
        dataset_timeout=30.0,
        maxtasksperchild=None,
    ):
        self.n_processes = n_processes or os.cpu_count() or 1
        if self.n_processes < 1:
            raise ValueError(f'Number of processes must be at least 1, not {n_processes}')
        self.n_prefetch = max(n_prefetch, 1)
        self.shared_mem = shared_mem
        self.dataset_timeout = dataset_timeout
        self._maxtasksperchild = maxtasksperchild
        self._seed = zlib.crc32(numpy.random.get_state()[1].tobytes())
        self._forget_workers()
        super().__init__(dataset, batch_size, repeat, shuffle, order_sampler)

    @property
    def _n_prefetch(self):
        return self.n_prefetch

    def _forget_workers(self):
        self._workers = []
        self._pid = os.getpid()
        self._retired = []  # workers that still have answers for batches ahead

    def _submit(self, indices):
        if not self._workers:
            self._workers = [Worker(self.dataset) for _ in range(self.n_processes)]
        n = -(-len(indices) // self.n_processes)
        state = self._ahead[-1][0] if self._ahead else self._state
        request = []
        try:
            for i in range(-(-len(indices) // n)):
                worker = self._worker(i)
                part = indices[i * n : (i + 1) * n]
                seed = self._seed, state.epoch, state.current_position, i
                request.append((worker, worker.request(part, seed)))
        except WorkerDied:
            self.finalize()
            raise
        return request

    def _worker(self, i):
        worker = self._workers[i]
        if self._maxtasksperchild is not None and worker.n_requests >= self._maxtasksperchild:
            worker.retire()
            self._retired.append(worker)
            worker = self._workers[i] = Worker(self.dataset)
        return worker

    def _receive(self, request):
        try:
            batch = receive(request, self.dataset_timeout, self._warn_of_stall)
        except WorkerDied:
            self.finalize()
            raise
        if self._retired:
            waiting = {worker for _, ahead in self._ahead for worker, _ in ahead}
            for worker in [worker for worker in self._retired if worker not in waiting]:
                self._retired.remove(worker)
                worker.end()
        return batch

    def _warn_of_stall(self):
        warnings.warn(
            f'Stalled dataset is detected: a batch takes longer than {self.dataset_timeout} seconds. '
            'Is the dataset slow (then raise dataset_timeout), or does it wait for something that its process does '
            'not have, such as a lock or a thread of the parent?',
            MultiprocessIterator.TimeoutWarning,
            stacklevel=5,
        )

    def finalize(self):
        """Ends the processes; batches that they are working on are given up."""
        self._finalized = True
        if not self._workers or self._pid != os.getpid():  # a forked child has a copy of this object
            return
        self._ahead.clear()
        workers = self._workers + self._retired
        self._forget_workers()
        for worker in workers:
            worker.end()

    def __getstate__(self):
        state = {**self.__dict__, '_drawn_orders': type(self._drawn_orders)(self._orders_ahead())}
        state['_ahead'] = type(self._ahead)()
        state.update(_workers=[], _retired=[])
        return state

    def __setstate__(self, state):
        self.__dict__.update(state, _pid=os.getpid())

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
