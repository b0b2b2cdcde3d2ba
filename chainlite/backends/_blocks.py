"""Work in parts, by several threads: NumPy gives up Python's lock while it computes.

Whoever is done with a part takes the next one, and so does the thread that asks: where the processors are busy it does
them all, and waits for nobody who has not begun. The other threads are made when they are needed first, shared by all
that ask, and made anew in a process that was forked.
"""

import functools
import os

import numpy as np

from chainlite.backends.onednn._threads import get_num_threads


@functools.cache
def _pool(threads):
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(threads, 'chainlite')


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def each(function, parts, threaded=True):
    """Calls `function(part)` for every one of a list, in up to `get_num_threads()` threads, in no certain order.

    The first error stops the thread that it came up in, and is raised when all have ended.
    """
    threads = min(get_num_threads(), len(parts)) if threaded else 1
    if threads == 1:
        for part in parts:
            function(part)
        return
    left, settings = iter(parts), {**np.geterr(), 'call': np.geterrcall()}  # which each thread has for itself

    def work():
        with np.errstate(**settings):
            for part in left:
                function(part)

    others = []
    try:
        for _ in range(threads - 1):
            others.append(_pool(threads).submit(work))
    except RuntimeError:  # the program is ending, where no threads can be made
        pass
    try:
        work()
    finally:
        begun = [other for other in others if not other.cancel()]
        for error in [other.exception() for other in begun]:  # waits for all of them first
            if error is not None:
                raise error
