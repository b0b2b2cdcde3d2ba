"""CUDA graphs: what a function launches, recorded once and then launched again as one piece.

    pool = new_pool()
    graph, y = capture(lambda: f(x), pool)       # nothing has run yet
    graph.launch()                               # x has been read, y written: any number of times

A graph keeps addresses and numbers: it reads the same arrays each time, whatever they hold then, and writes its results
into the same arrays. While a function is captured it must not wait for the device or look at values of arrays; CuPy
raises an error there, and so do its own calls of cuBLAS (see `_gemm`) and cuRAND.

Memory comes from a pool of its own, which nobody else takes from: what is freed in the function is used again within
it, and stays reserved as long as the pool lives. Graphs that run one after another can share a pool: each may write
over what another one computed, but for what is still referred to. Whoever holds a graph also holds the arrays that it
reads, which are not of the pool, and its results.
"""

import contextlib

from chainlite.backends import cuda


class Pool:
    """Memory for graphs that run one after another, and the stream that they are captured on: CuPy's pools give freed
    memory to the same stream only."""

    def __init__(self):
        self.memory = cuda.cupy.cuda.MemoryPool()
        self.stream = cuda.cupy.cuda.Stream(non_blocking=True)


def new_pool():
    """A pool of memory for graphs that run one after another."""
    return Pool()


def is_capturing():
    """Whether the current stream is being captured."""
    return bool(cuda.cupy.cuda.get_current_stream().is_capturing())


def capture(function, pool):
    """The graph of all that `function()` launches, and what it returns. An error of it leaves nothing behind.

    All must have run once before on this thread: kernels are not compiled, nor handles made, in a capture.
    """
    stream = pool.stream
    with cuda.cupy.cuda.using_allocator(pool.memory.malloc), stream:
        stream.begin_capture()
        try:
            result = function()
        except BaseException:
            with contextlib.suppress(Exception):  # that the capture was spoilt is known already
                stream.end_capture()
            raise
        return stream.end_capture(), result
