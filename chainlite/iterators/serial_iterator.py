from chainlite.iterators._ordered_iterator import OrderedIterator
from chainlite.iterators.order_samplers import ShuffleOrderSampler  # noqa: F401  (a name Chainer has here)


class SerialIterator(OrderedIterator):
    """Takes the examples in the thread of the caller, when a batch is asked for.

    Args:
        dataset: Anything with ``len`` and integer indices.
        batch_size: Number of examples in a batch. With ``repeat``, a batch that reaches the end of an epoch takes its
            remaining examples from the next; otherwise the last batch is smaller.
        repeat: Whether to go on after an epoch.
        shuffle: Whether the order is random; None means so if there is no ``order_sampler``.
        order_sampler: OrderSampler or function ``f(current_order, current_position)`` that gives the order of the next
            epoch; ``shuffle`` must then be None.
    """

    def __init__(self, dataset, batch_size, repeat=True, shuffle=None, order_sampler=None):
        super().__init__(dataset, batch_size, repeat, shuffle, order_sampler)

    def __next__(self):
        """Returns the next batch, a list of examples."""
        self._previous_epoch_detail = self.epoch_detail
        self._state, indices = self._advance(self._state)
        if indices is None:
            raise StopIteration
        dataset = self.dataset
        return [dataset[i] for i in indices]
