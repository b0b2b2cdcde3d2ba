from chainlite.training.extensions._shift import Shift


class WarmupShift(Shift):
    """Moves a hyperparameter from a start value to its proper one in the first calls.

    Args:
        attr: Name of the attribute of the optimizer.
        warmup_start: First value.
        warmup_iter: Number of calls until the proper value is reached.
        init: The proper value.
        optimizer: The optimizer; None for the updater's main one.
    """

    _saves_last_value = False

    def __init__(self, attr, warmup_start, warmup_iter, init, optimizer=None):
        super().__init__(attr, init, optimizer)
        self._warmup_start = warmup_start
        self._warmup_iter = warmup_iter

    def _first(self):
        return self._warmup_start

    def _value(self, t):
        if t >= self._warmup_iter:
            return self._init
        n = self._warmup_iter
        return (self._warmup_start * (n - t) + self._init * t) / n
