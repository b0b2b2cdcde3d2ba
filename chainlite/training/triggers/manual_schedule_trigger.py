from chainlite.training.triggers._previous import SincePrevious, load_or


class ManualScheduleTrigger(SincePrevious):
    """Fires at given epochs or iterations.

    Args:
        points: Number of epochs (which may be fractional) or iterations, or a list of them.
        unit: ``'epoch'`` or ``'iteration'``.

    Attributes:
        finished: Whether the last point has been passed.
    """

    def __init__(self, points, unit):
        if unit not in ('epoch', 'iteration'):
            raise ValueError("Trigger unit must be either 'epoch' or 'iteration'.")
        super().__init__()
        self.points = list(points) if hasattr(points, '__iter__') else [points]
        self.unit = unit
        self.finished = False

    def __call__(self, trainer):
        iterations, epochs = self._step(trainer.updater)
        before, now = epochs if self.unit == 'epoch' else iterations
        self.finished = all(point <= now for point in self.points)
        return any(before < point <= now for point in self.points)

    def serialize(self, serializer):
        super().serialize(serializer)
        self.finished = load_or(
            serializer,
            'finished',
            self.finished,
            False,
            'The flag of finished is not saved. ManualScheduleTrigger set the flag to `False` to force initialization '
            'and reset in next `__call__`.',
        )
