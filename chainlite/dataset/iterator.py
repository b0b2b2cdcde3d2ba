"""The interface of dataset iterators."""


class Iterator:
    """Yields the mini-batches of a dataset: ``next(iterator)`` is a list of examples.

    An iterator that a trainer uses also has the attributes ``batch_size``, ``epoch`` (passes completed),
    ``epoch_detail`` (the same with the fraction of the current pass), ``previous_epoch_detail`` and ``is_new_epoch``
    (whether the batch last returned completed a pass).
    """

    def __del__(self):
        self.finalize()

    def __iter__(self):
        return self

    def __next__(self):
        """Returns the next batch; StopIteration after the last one if the iterator does not repeat."""
        raise NotImplementedError

    def next(self):
        """Returns the next batch, as ``next(iterator)`` does."""
        return self.__next__()

    def finalize(self):
        """Releases what the iterator holds: threads, processes. It may be called more than once."""

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        self.finalize()

    def serialize(self, serializer):
        """Saves or loads the position in the dataset."""
