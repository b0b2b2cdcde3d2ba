"""Processes that fetch examples.

Each has a connection of its own to its parent, and no process holds an end that is not its own: whichever side dies,
the other one reads the end of the file instead of waiting.

Large results lie in shared memory, and the parent's arrays are views of it. When the last of them is gone the parent
says so with its next request, and the worker fills the same memory again: fresh memory would cost the kernel more time
than copying takes.
"""

import collections
import os
import pickle
import queue
import random
import signal
import threading
import weakref

import numpy

from chainlite.iterators._shared_memory import SharedMemory, pack, receive_piece, unpack

_parent_ends = weakref.WeakSet()


class WorkerDied(RuntimeError):
    """A worker process has ended by itself."""


class Worker:
    """A process that fetches examples of a dataset, one request after the other.

    Args:
        dataset: The dataset.
    """

    def __init__(self, dataset):
        import multiprocessing

        self._connection, other = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_run, args=(dataset, other), daemon=True)
        self._n_requests = 0
        self._n_answers = 0
        self._memory = {}  # by number
        self._free = collections.deque()  # numbers of what can be filled again
        _parent_ends.add(self._connection)
        self._process.start()
        other.close()

    @property
    def pid(self):
        return self._process.pid

    @property
    def n_requests(self):
        """Number of requests so far."""
        return self._n_requests

    def request(self, indices, seed):
        """Asks for examples; returns the number of the request, for :func:`receive`.

        Args:
            indices: List of their indices.
            seed: Tuple of integers that seeds the global random generators.
        """
        free = [self._free.popleft() for _ in range(len(self._free))]
        try:
            self._connection.send((indices, seed, free))
        except OSError as e:
            raise self._died() from e
        self._n_requests += 1
        return self._n_requests

    def _receive(self, number):
        """Returns the next answer, (whether it succeeded, examples or pickled exception); None if it is to a request
        before the one with this number."""
        try:
            succeeded, data, buffers, piece, replaced = self._connection.recv()
            for old in replaced:
                self._memory.pop(old, None)
            memory = self._open(piece) if piece else None
        except (OSError, EOFError) as e:
            raise self._died() from e
        self._n_answers += 1
        if self._n_answers != number:
            return None
        return succeeded, unpack(data, buffers, memory) if succeeded else data

    def _open(self, number):
        """Returns a piece of shared memory as an array; it is free again when that and all arrays on it are gone."""
        if number not in self._memory:
            self._memory[number] = receive_piece(self._connection)
        memory = numpy.frombuffer(self._memory[number], numpy.uint8)
        weakref.finalize(memory, self._free.append, number).atexit = False
        return memory

    def _died(self):
        self._process.join(1)
        return WorkerDied(
            f'a process that fetches examples has died (exit code {self._process.exitcode}): '
            'out of memory? killed? a crash in the dataset?'
        )

    def retire(self):
        """Lets the process end after what it was asked for."""
        self._connection.send(None)

    def end(self):
        """Ends the process."""
        self._connection.close()
        self._process.terminate()
        self._process.join(5)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()


def receive(requests, timeout, warn):
    """Returns the examples of several workers, in the order of the requests; a worker that has died is noticed at once.

    Args:
        requests: List of pairs of a worker, each another one, and the number of its request.
        timeout: Seconds without any answer after which ``warn()`` is called, once; None for never.
        warn: Function.
    """
    from multiprocessing.connection import wait

    waiting = {worker._connection: (i, worker, number) for i, (worker, number) in enumerate(requests)}
    answers = [None] * len(requests)
    while waiting:
        ready = wait(list(waiting), timeout)
        if not ready:
            warn()
            timeout = None
        for connection in ready:
            i, worker, number = waiting[connection]
            answers[i] = worker._receive(number)
            if answers[i] is not None:
                del waiting[connection]
    for succeeded, data in answers:
        if not succeeded:
            raise pickle.loads(data)
    return [example for _, examples in answers for example in examples]


def _run(dataset, connection):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for end in list(_parent_ends):  # inherited by fork
        end.close()
    requests = queue.SimpleQueue()
    # The parent must never wait for this process to take a request.
    threading.Thread(target=_take_requests, args=(connection, requests), daemon=True).start()
    memory = SharedMemory()
    while (request := requests.get()) is not None:
        indices, seed, free = request
        memory.free += free
        answer = _answer(dataset, indices, seed, memory)
        connection.send(answer)
        memory.send(answer[3], connection)


def _take_requests(connection, requests):
    try:
        while True:
            requests.put(connection.recv())
    except (OSError, EOFError):
        os._exit(1)


def _answer(dataset, indices, seed, memory):
    """Returns whether it succeeded, the packed examples or the pickled exception, and what
    :meth:`SharedMemory.finish` returns."""
    words = numpy.random.SeedSequence(seed).generate_state(4)
    numpy.random.seed(words)
    random.seed(words.tobytes())
    try:
        return True, pack((dataset[i] for i in indices), memory), *memory.finish()
    except Exception as e:
        from multiprocessing.pool import ExceptionWithTraceback

        try:
            data = pickle.dumps(ExceptionWithTraceback(e, e.__traceback__))
        except Exception:  # some can not be pickled
            data = pickle.dumps(RuntimeError(f'{type(e).__name__} in the dataset: {e}'))
        return False, data, *memory.finish()
