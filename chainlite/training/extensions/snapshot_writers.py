"""How snapshots get to the disk: at once, or in threads and processes while the training goes on."""

import multiprocessing
import os
import queue
import threading
import traceback

from chainlite.serializers.npz import save_npz
from chainlite.utils.atomic import replacing


class Entries(dict):
    """What an object consists of: NumPy arrays by path. It can be saved by any function that saves objects."""

    def serialize(self, serializer):
        for key, array in self.items():
            value = array
            if array.shape == () and array.dtype.kind in 'OU':  # None or a string
                value = array[()] if array.dtype == object else str(array)
            serializer(key, value)

    def copied(self):
        """Returns the same with arrays that do not change when the object does."""
        return Entries({key: array.copy() for key, array in self.items()})


class Writer:
    """Base of writers: ``writer(filename, outdir, target)`` writes a snapshot.

    ``target`` is a dictionary of NumPy arrays by path, as ``serializers.npz.serialize`` makes it of an object.
    """

    def __init__(self):
        self._post_save_hooks = []

    def __call__(self, filename, outdir, target):
        """Writes ``target`` into the file ``filename`` in the folder ``outdir``, now or later."""
        raise NotImplementedError

    def __del__(self):
        self.finalize()

    def finalize(self):
        """Waits for what is being written."""

    def save(self, filename, outdir, target, savefun, **kwds):
        """Writes by ``savefun(path, target, **kwds)``. The file appears when it is complete, and replaces an older."""
        if isinstance(target, dict) and not hasattr(target, 'serialize'):
            target = Entries(target)
        with replacing(os.path.join(outdir, filename)) as path:
            savefun(path, target, **kwds)
        for hook in self._post_save_hooks:
            hook()

    def _add_cleanup_hook(self, hook):
        self._post_save_hooks.append(hook)


def _copied(target):
    # The arrays are those of the model, which goes on being trained while they are written.
    return Entries(target).copied() if isinstance(target, dict) else target


class SimpleWriter(Writer):
    """Writes at once.

    Args:
        savefun: Function ``f(path, target, **kwds)`` that saves an object.
        kwds: Arguments for it.
    """

    def __init__(self, savefun=save_npz, **kwds):
        super().__init__()
        self._savefun = savefun
        self._kwds = kwds

    def __call__(self, filename, outdir, target):
        self.save(filename, outdir, target, self._savefun, **self._kwds)


class StandardWriter(Writer):
    """Base of writers that have a worker for each snapshot, and wait for it before the next.

    Subclasses override :meth:`create_worker`.

    Args:
        savefun: Function ``f(path, target, **kwds)`` that saves an object.
        kwds: Arguments for it.
    """

    _worker = None

    def __init__(self, savefun=save_npz, **kwds):
        super().__init__()
        self._savefun = savefun
        self._kwds = kwds

    def __call__(self, filename, outdir, target):
        self.finalize()
        self._worker = self.create_worker(filename, outdir, target, **self._kwds)
        self._worker.start()

    def create_worker(self, filename, outdir, target, **kwds):
        """Returns the worker, which has ``start()`` and ``join()``."""
        raise NotImplementedError

    def finalize(self):
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.join()


class ThreadWriter(StandardWriter):
    """Writes in a thread.

    Args:
        savefun: Function ``f(path, target, **kwds)`` that saves an object.
        kwds: Arguments for it.
    """

    def create_worker(self, filename, outdir, target, **kwds):
        return threading.Thread(target=self.save, args=(filename, outdir, _copied(target), self._savefun), kwargs=kwds)


class ProcessWriter(StandardWriter):
    """Writes in a process. With GPUs, use it with a start method that is not ``fork``.

    Args:
        savefun: Function ``f(path, target, **kwds)`` that saves an object.
        kwds: Arguments for it.
    """

    def create_worker(self, filename, outdir, target, **kwds):
        return multiprocessing.Process(target=self.save, args=(filename, outdir, target, self._savefun), kwargs=kwds)


class QueueWriter(Writer):
    """Base of writers with a queue and one consumer of it. Subclasses override its ``create`` methods.

    Args:
        savefun: Function ``f(path, target)`` that saves an object.
        task: Function ``f(filename, outdir, target)`` that writes; None for a SimpleWriter of ``savefun``.
    """

    _started = False

    def __init__(self, savefun=save_npz, task=None):
        super().__init__()
        self._task = self.create_task(savefun) if task is None else task
        self._queue = self.create_queue()
        self._consumer = self.create_consumer(self._queue)
        self._consumer.start()
        self._started = True

    def __call__(self, filename, outdir, target):
        self._queue.put([self._task, filename, outdir, _copied(target)])

    def create_task(self, savefun):
        """Returns what writes one snapshot."""
        return SimpleWriter(savefun=savefun)

    def create_queue(self):
        """Returns the queue."""
        raise NotImplementedError

    def create_consumer(self, q):
        """Returns the thread or process that runs :meth:`consume`."""
        raise NotImplementedError

    def consume(self, q):
        """Writes what comes out of the queue until None does; an exception is printed, and the next one is tried."""
        while True:
            task = q.get()
            try:
                if task is None:
                    return
                task[0](task[1], task[2], task[3])
            except Exception:
                traceback.print_exc()
            finally:
                q.task_done()

    def finalize(self):
        if not self._started:
            return
        self._started = False
        self._queue.put(None)
        self._queue.join()
        self._consumer.join()

    def _add_cleanup_hook(self, hook):
        if hasattr(self._task, '_add_cleanup_hook'):
            self._task._add_cleanup_hook(hook)


class ThreadQueueWriter(QueueWriter):
    """Writes in one thread, one snapshot after the other.

    Args:
        savefun: Function ``f(path, target)`` that saves an object.
        task: Function ``f(filename, outdir, target)`` that writes; None for a SimpleWriter of ``savefun``.
    """

    def create_queue(self):
        return queue.Queue()

    def create_consumer(self, q):
        return threading.Thread(target=self.consume, args=(q,))


class ProcessQueueWriter(QueueWriter):
    """Writes in one process, one snapshot after the other. With GPUs, use a start method that is not ``fork``.

    Args:
        savefun: Function ``f(path, target)`` that saves an object.
        task: Function ``f(filename, outdir, target)`` that writes; None for a SimpleWriter of ``savefun``.
    """

    def create_queue(self):
        return multiprocessing.JoinableQueue()

    def create_consumer(self, q):
        return multiprocessing.Process(target=self.consume, args=(q,))
