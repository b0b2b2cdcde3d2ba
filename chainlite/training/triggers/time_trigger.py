class TimeTrigger:
    """Fires every ``period`` seconds of training: at the first call after each multiple.

    The iterations at which it fires differ from run to run.

    Args:
        period: Seconds.
    """

    def __init__(self, period):
        self._period = period
        self._next_time = period

    def __call__(self, trainer):
        if trainer.elapsed_time < self._next_time:
            return False
        while self._next_time <= trainer.elapsed_time:
            self._next_time += self._period
        return True

    def serialize(self, serializer):
        """Saves or loads the next time."""
        self._next_time = serializer('next_time', self._next_time)
