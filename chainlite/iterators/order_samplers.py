"""In which order an iterator takes the examples."""

import numpy


class OrderSampler:
    """Base of order samplers: callables that give an iterator the order of its next epoch."""

    def __call__(self, current_order, current_position):
        """Returns the next order.

        Args:
            current_order: Array of the indices of the current epoch (for the first one, 0, 1, 2, ...).
            current_position: Number of examples taken from it before the batch that completes it.

        Returns:
            Array of indices, which decides the length of an epoch: all orders of an iterator have the same length.
        """
        raise NotImplementedError


class ShuffleOrderSampler(OrderSampler):
    """A new random permutation for each epoch.

    Args:
        random_state: ``numpy.random.RandomState`` or ``Generator``; None is NumPy's global generator.
    """

    def __init__(self, random_state=None):
        self._random = random_state

    def __call__(self, current_order, current_position):
        return (self._random or numpy.random).permutation(len(current_order))
