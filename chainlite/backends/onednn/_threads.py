"""What each thread has of its own: a stream, the operations it has made, and OpenMP's number of threads.

A primitive's memory objects are written to with every call, so threads that shared one would compute with each other's
arrays. Operations therefore are kept by thread, as many as CHAINLITE_ONEDNN_CACHE says (1024), and the one that was not
used for longest is dropped. How many OpenMP threads a primitive uses is fixed when it is made, hence part of its key.

OpenMP's threads do not survive a fork: a child that called them would wait for ever. So a forked process computes in
one thread, with operations that it makes itself.
"""

import contextlib
import functools
import os
import threading
from ctypes import byref, c_void_p

from chainlite.backends.onednn import _library
from chainlite.configuration import config

_CACHE_SIZE = int(os.environ.get('CHAINLITE_ONEDNN_CACHE', 1024))


def _make(build, threads, *key):
    return build(*key)


class _Process:
    """What all threads of the process have in common."""

    threads = None  # asked for by set_num_threads; None: OpenMP's own number
    forked = False  # from a process that had loaded the library

    def after_fork(self):
        self.threads, self.forked = 1, True
        _thread.__dict__.clear()
        _thread.__init__()


class _Thread(threading.local):
    threads = None  # the number that OpenMP knows of

    def __init__(self):
        self.cached = functools.lru_cache(_CACHE_SIZE)(_make)

    def prepare(self):
        """Makes the stream and tells OpenMP the number of threads, when the thread begins and when that changes."""
        library = _library.library()
        if self.threads is None:
            _register()
            self.stream = c_void_p()
            library.call('stream_create', byref(self.stream), library.engine, 1)
            self.stream = self.stream.value
        if library.omp_set_num_threads is None:
            _process.threads = 1
        elif _process.threads is None:
            _process.threads = library.omp_get_max_threads()
        else:
            library.omp_set_num_threads(_process.threads)
        self.threads = _process.threads


_process = _Process()
_thread = _Thread()


@functools.cache
def _register():
    os.register_at_fork(after_in_child=_process.after_fork)


def prepare():
    """To be called before oneDNN computes: makes OpenMP's number of threads what it has to be."""
    thread = _thread
    if thread.threads is None or thread.threads != _process.threads:
        thread.prepare()
    return thread


def operation(build, *key):
    """`build(*key)`, made once for each thread and number of threads, and kept while it is used."""
    thread = prepare()
    return thread.cached(build, thread.threads, *key)


@contextlib.contextmanager
def one_thread():
    """oneDNN computes in this thread alone: with little work it is done before others have begun."""
    threads = prepare().threads
    if threads == 1:
        yield
        return
    set_omp = _library.library().omp_set_num_threads
    set_omp(1)
    try:
        yield
    finally:
        set_omp(threads)


def set_num_threads(n):
    """Sets the number of threads that a function computes with on the CPU, for all threads of the program.

    Args:
        n: int, at least 1. The default is OpenMP's: OMP_NUM_THREADS, or one for each processor.

    Without oneDNN NumPy's OpenBLAS, where NumPy brought one, gets n threads, too. A process that was forked after its
    parent has used oneDNN stays with one thread: RuntimeError for another number.
    """
    n = int(n)
    if n < 1:
        raise ValueError(f'the number of threads must be at least 1, not {n}')
    if _process.forked and n > 1:
        raise RuntimeError('a forked process computes in one thread, since the threads of OpenMP do not survive a fork')
    _process.threads = n
    if _is_off():
        _library.set_blas_threads(n)
    else:
        _thread.prepare()


def get_num_threads():
    """The number of threads that a function computes with on the CPU; see `set_num_threads`."""
    if _process.threads is None:
        if _is_off():
            return _library.get_blas_threads() or 1
        _thread.prepare()
    return _process.threads


def _is_off():
    return config.use_ideep == 'never' or _library.library() is None
