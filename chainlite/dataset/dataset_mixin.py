"""Indexing for datasets that are written as a class with ``__len__`` and ``get_example``."""

import numpy


class DatasetMixin:
    """Base of datasets: gives ``dataset[index]`` to a class that has ``__len__`` and :meth:`get_example`."""

    def __getitem__(self, index):
        """Returns one example for an integer, a list of examples for a slice, a list or an integer array."""
        if isinstance(index, slice):
            return [self.get_example(i) for i in range(*index.indices(len(self)))]
        if isinstance(index, (list, numpy.ndarray)):
            return [self.get_example(i) for i in index]
        return self.get_example(index)

    def __len__(self):
        """Returns the number of examples."""
        raise NotImplementedError

    def get_example(self, i):
        """Returns the example number ``i``; a dataset class must override it."""
        raise NotImplementedError
