"""Iterators over the mini-batches of a dataset."""

from chainlite.iterators.dali_iterator import DaliIterator
from chainlite.iterators.multiprocess_iterator import MultiprocessIterator
from chainlite.iterators.multithread_iterator import MultithreadIterator
from chainlite.iterators.order_samplers import OrderSampler
from chainlite.iterators.order_samplers import ShuffleOrderSampler
from chainlite.iterators.serial_iterator import SerialIterator
