from chainlite.iterators._prefetching_iterator import PrefetchingIterator
from chainlite.iterators.order_samplers import ShuffleOrderSampler  # noqa: F401  (a name Chainer has here)


class MultithreadIterator(PrefetchingIterator):
    """Takes the examples of the next batch in threads while the caller works on the current one.

    Threads help where taking an example waits (for files) or computes outside Python's lock (NumPy, Pillow).

    Args:
        dataset: Anything with ``len`` and integer indices, safe to use from several threads.
        batch_size, repeat, shuffle, order_sampler: As for :class:`SerialIterator`.
        n_threads: Number of threads.
    """

    _order_key = '_order'
    _executor = None

    def __init__(self, dataset, batch_size, repeat=True, shuffle=None, n_threads=1, order_sampler=None):
        self.n_threads = n_threads
        super().__init__(dataset, batch_size, repeat, shuffle, order_sampler)

    def _submit(self, indices):
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(self.n_threads, 'MultithreadIterator')
        n = -(-len(indices) // self.n_threads)
        parts = [indices[i : i + n] for i in range(0, len(indices), n)]
        return [self._executor.submit(_fetch, self.dataset, part) for part in parts]

    def _receive(self, request):
        return [example for future in request for example in future.result()]

    def reset(self):
        """Goes back to the start, with a new order; also after `finalize`, with new threads."""
        self._finalized = False
        super().reset()

    def finalize(self):
        """Ends the threads."""
        self._finalized = True
        executor, self._executor = self._executor, None
        if executor is not None:
            self._ahead.clear()
            executor.shutdown(wait=False, cancel_futures=True)


def _fetch(dataset, indices):
    return [dataset[i] for i in indices]
