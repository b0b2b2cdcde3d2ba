"""What the iterators that work ahead share."""

import collections

from chainlite.iterators._ordered_iterator import OrderedIterator


class PrefetchingIterator(OrderedIterator):
    """Base of iterators that have workers fetch the next batches meanwhile.

    Which batches those are is decided in the thread of the caller, one for each that is delivered: the random numbers
    that order samplers draw come at the same points in every run. Subclasses override :meth:`_submit` and
    :meth:`_receive`.
    """

    _n_prefetch = 1

    def _start(self):
        super()._start()
        self._ahead = collections.deque()  # (state after the batch, what _submit returned)
        self._finalized = False

    def _submit(self, indices):
        """Has the examples with these indices fetched; returns what :meth:`_receive` needs."""
        raise NotImplementedError

    def _receive(self, request):
        """Waits for a batch and returns it."""
        raise NotImplementedError

    def __next__(self):
        """Returns the next batch, a list of examples; raises here what a worker raised for it."""
        if self._finalized:
            raise RuntimeError(f'{type(self).__name__} is finalized')
        self._work_ahead(1)
        self._previous_epoch_detail = self.epoch_detail
        if not self._ahead:
            raise StopIteration
        state, request = self._ahead.popleft()
        self._state = state
        self._work_ahead(self._n_prefetch)
        return self._receive(request)

    def _work_ahead(self, n):
        while len(self._ahead) < n:
            state, indices = self._advance(self._ahead[-1][0] if self._ahead else self._state)
            if indices is None:
                return
            self._ahead.append((state, self._submit(indices)))

    def _orders_ahead(self):
        drawn = [state.order for state, _ in self._ahead if state.is_new_epoch and self._repeat]
        return [order for order in drawn if order is not None] + super()._orders_ahead()

    def _set_state(self, state):
        super()._set_state(state)
        self._ahead.clear()

    def reset(self):
        """Goes back to the start, with a new order."""
        if self._finalized:
            raise NotImplementedError(f'Reset of finalized {type(self).__name__} is currently not supported.')
        super().reset()
