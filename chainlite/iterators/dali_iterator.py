from chainlite.dataset.iterator import Iterator


class DaliIterator(Iterator):
    """Batches of an NVIDIA DALI pipeline.

    The pipeline is built when the first batch is asked for. Batches are lists of tuples, for
    :class:`~chainlite.dataset.Converter`; the data stay where the pipeline left them.

    Args:
        pipeline: ``nvidia.dali.Pipeline`` with a reader, whose epoch size counts.
        repeat: Whether to go on after an epoch.
    """

    def __init__(self, pipeline, repeat=True):
        self._pipeline = pipeline
        self._repeat = repeat
        self._epoch_size = 0
        self.reset()

    def __next__(self):
        """Returns the next batch, a list of tuples."""
        if not self._repeat and self.epoch > 0:
            raise StopIteration
        self._previous_epoch_detail = self.epoch_detail
        self._build()
        outputs = self._pipeline.run()
        n = min(self.batch_size, self._epoch_size - self.current_position) if not self._repeat else self.batch_size
        self.current_position += self.batch_size
        self.is_new_epoch = self.current_position >= self._epoch_size
        if self.is_new_epoch:
            self.epoch += 1
            self.current_position = self.current_position - self._epoch_size if self._repeat else 0
        return [tuple(output[i] for output in outputs) for i in range(n)]

    def _build(self):
        if self._epoch_size == 0:
            self._pipeline.build()
            self._epoch_size = next(iter(self._pipeline.epoch_size().values()))

    @property
    def batch_size(self):
        """Number of examples in a batch."""
        return self._pipeline.batch_size

    @property
    def repeat(self):
        """Whether the iterator goes on after an epoch."""
        return self._repeat

    @property
    def epoch_detail(self):
        """Number of epochs, with the fraction of the current one."""
        return self.epoch + self.current_position / self._epoch_size if self._epoch_size else float(self.epoch)

    @property
    def previous_epoch_detail(self):
        """:attr:`epoch_detail` before the last batch; None before the first one."""
        return None if self._previous_epoch_detail < 0 else self._previous_epoch_detail

    def reset(self):
        """Goes back to the start of the counting; a DALI pipeline itself goes on where it is."""
        self.current_position = 0
        self.epoch = 0
        self.is_new_epoch = False
        self._previous_epoch_detail = -1.0

    def serialize(self, serializer):
        """Saves or loads the counters."""
        self.current_position = serializer('current_position', self.current_position)
        self.epoch = serializer('epoch', self.epoch)
        self.is_new_epoch = serializer('is_new_epoch', self.is_new_epoch)
        self._previous_epoch_detail = serializer('previous_epoch_detail', self._previous_epoch_detail)
