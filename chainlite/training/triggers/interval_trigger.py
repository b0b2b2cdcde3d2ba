from chainlite.training.triggers._previous import SincePrevious


class IntervalTrigger(SincePrevious):
    """Fires every ``period`` epochs or iterations.

    Args:
        period: Length of the interval; a number of epochs may be fractional.
        unit: ``'epoch'`` or ``'iteration'``.
    """

    def __init__(self, period, unit):
        if unit not in ('epoch', 'iteration'):
            raise ValueError("Trigger unit must be either 'epoch' or 'iteration'.")
        super().__init__()
        self.period = period
        self.unit = unit
        self.count = 0

    def __call__(self, trainer):
        iterations, epochs = self._step(trainer.updater)
        before, now = epochs if self.unit == 'epoch' else iterations
        return before // self.period != now // self.period

    def get_training_length(self):
        """Returns the period and its unit: the length of a training that this trigger stops."""
        return self.period, self.unit

    def __str__(self):
        return f"{type(self).__name__}({self.period}, '{self.unit}')"
