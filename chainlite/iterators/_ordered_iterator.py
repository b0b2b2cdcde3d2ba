"""What the iterators share: the position in the dataset, the order, and how both are saved."""

import collections
import typing

import numpy

from chainlite.dataset._random_state import serialize_random_state
from chainlite.dataset.iterator import Iterator
from chainlite.iterators.order_samplers import ShuffleOrderSampler
from chainlite.serializer import Serializer


class IteratorState(typing.NamedTuple):
    """Where an iterator stands after a batch.

    Attributes:
        current_position: Number of examples taken in this epoch.
        epoch: Number of epochs completed.
        is_new_epoch: Whether the batch completed one.
        order: Array of the indices of this epoch, or None for the dataset's own order.
    """

    current_position: int
    epoch: int
    is_new_epoch: bool
    order: numpy.ndarray | None


class OrderedIterator(Iterator):
    """Base of the iterators over a dataset in an order. Subclasses override ``__next__``."""

    _order_key = 'order'  # in files

    def __init__(self, dataset, batch_size, repeat, shuffle, order_sampler):
        if shuffle is not None and order_sampler is not None:
            raise ValueError(
                '`shuffle` is not `None` and a custom `order_sampler` is set. '
                'Please set `shuffle` to `None` to use the custom order sampler.'
            )
        if order_sampler is None and (shuffle is None or shuffle):
            order_sampler = ShuffleOrderSampler()
        self.dataset = dataset
        self.batch_size = batch_size
        self._repeat = repeat
        self._shuffle = shuffle
        self.order_sampler = order_sampler
        self._start()

    def _start(self):
        order = None
        if self.order_sampler is not None:
            order = numpy.asarray(self.order_sampler(numpy.arange(len(self.dataset)), 0))
        self._state = IteratorState(0, 0, False, order)
        self._previous_epoch_detail = -1.0
        self._drawn_orders = collections.deque()  # orders of coming epochs, if a file had some

    @property
    def current_position(self):
        """Number of examples taken in the current epoch."""
        return self._state.current_position

    @property
    def epoch(self):
        """Number of completed epochs."""
        return self._state.epoch

    @property
    def is_new_epoch(self):
        """Whether the last batch completed an epoch."""
        return self._state.is_new_epoch

    @property
    def epoch_detail(self):
        """Number of epochs, with the fraction of the current one."""
        return self.epoch + self.current_position / self._epoch_size

    @property
    def previous_epoch_detail(self):
        """:attr:`epoch_detail` before the last batch; None before the first one."""
        return None if self._previous_epoch_detail < 0 else self._previous_epoch_detail

    @property
    def repeat(self):
        """Whether the iterator goes on after an epoch."""
        return self._repeat

    @property
    def _epoch_size(self):
        order = self._state.order
        return len(self.dataset) if order is None else len(order)

    def _advance(self, state):
        """Returns the state after the next batch and the indices of that batch; None for them at the end."""
        if not self._repeat and state.epoch > 0:
            return state, None
        size = self._epoch_size
        start = state.current_position
        end = start + self.batch_size
        order = state.order
        indices = list(range(start, min(end, size))) if order is None else order[start:end].tolist()
        if end < size:
            return IteratorState(end, state.epoch, False, order), indices
        if not self._repeat:
            return IteratorState(0, state.epoch + 1, True, order), indices
        epoch, rest = state.epoch, end
        while rest >= size > 0:  # more than once if a batch is larger than the dataset
            epoch, rest = epoch + 1, rest - size
            if order is not None:
                order, start = self._draw_order(order, start), 0
            indices += range(min(rest, size)) if order is None else order[:rest].tolist()
        return IteratorState(rest, epoch, True, order), indices

    def _draw_order(self, order, position):
        if self._drawn_orders:
            return self._drawn_orders.popleft()
        drawn = numpy.asarray(self.order_sampler(order, position))
        if len(drawn) != len(order):
            raise ValueError('The size of order does not match the size of the previous order.')
        return drawn

    def reset(self):
        """Goes back to the start, with a new order."""
        self._start()

    def serialize(self, serializer):
        """Saves or loads the position, the order, and the state of a random generator that the order sampler owns."""
        position = serializer('current_position', self.current_position)
        epoch = serializer('epoch', self.epoch)
        is_new_epoch = serializer('is_new_epoch', self.is_new_epoch)
        saving = isinstance(serializer, Serializer)
        order = self._state.order
        if order is not None:
            order = self._serialize_order(serializer, order if saving else order.copy())
        if getattr(self.order_sampler, '_random', None) is not None:
            serialize_random_state(serializer, 'order_sampler_random_state', self.order_sampler._random)
        if saving:
            if self._orders_ahead():
                serializer('drawn_orders', numpy.stack(self._orders_ahead()))
        else:
            self._set_state(IteratorState(position, epoch, is_new_epoch, order))
            drawn = _optional(serializer, 'drawn_orders')
            self._drawn_orders.extend(() if drawn is None else numpy.asarray(drawn))
        try:
            self._previous_epoch_detail = serializer('previous_epoch_detail', self._previous_epoch_detail)
        except KeyError:  # Chainer before version 2 did not save it
            detail = epoch + (position - self.batch_size) / self._epoch_size
            self._previous_epoch_detail = max(detail, 0.0) if self.epoch_detail > 0 else -1.0

    def _set_state(self, state):
        self._state = state
        self._drawn_orders.clear()

    def _orders_ahead(self):
        """Orders of coming epochs that are drawn already: an iterator that works ahead has some, and to draw them
        again after loading would give others."""
        return list(self._drawn_orders)

    def _serialize_order(self, serializer, order):
        # Iterators and versions of Chainer differ in the name.
        other = '_order' if self._order_key == 'order' else 'order'
        try:
            return serializer(self._order_key, order)
        except KeyError:
            return serializer(other, order)


def _optional(serializer, key):
    try:
        return serializer(key, None)
    except KeyError:
        return None
