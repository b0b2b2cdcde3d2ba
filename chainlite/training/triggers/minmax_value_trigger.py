"""Triggers on the best value so far."""

from chainlite.reporter import DictSummary
from chainlite.training import util


class BestValueTrigger:
    """Fires when the mean of a reported value over an interval is better than all before.

    Args:
        key: Name of the value.
        compare: Function ``f(best, new)`` that returns whether the new value is better.
        trigger: Trigger that ends an interval.
    """

    def __init__(self, key, compare, trigger=(1, 'epoch')):
        self._key = key
        self._best_value = None
        self._interval_trigger = util.get_trigger(trigger)
        self._summary = DictSummary()
        self._compare = compare

    def __call__(self, trainer):
        observation = trainer.observation
        if self._key in observation:
            self._summary.add({self._key: observation[self._key]})
        if not self._interval_trigger(trainer):
            return False
        mean = self._summary.compute_mean()
        self._summary = DictSummary()
        if self._key not in mean:  # nothing was reported in the interval
            return False
        value = float(mean[self._key])
        if self._best_value is not None and not self._compare(self._best_value, value):
            return False
        self._best_value = value
        return True

    def serialize(self, serializer):
        """Saves or loads the best value and the interval's sums."""
        if hasattr(self._interval_trigger, 'serialize'):
            self._interval_trigger.serialize(serializer['interval_trigger'])
        self._summary.serialize(serializer['summary'])
        best = serializer('best_value', self._best_value)
        self._best_value = None if best is None else float(best)


class MaxValueTrigger(BestValueTrigger):
    """Fires when the mean of a reported value over an interval is the highest so far.

    Args:
        key: Name of the value.
        trigger: Trigger that ends an interval.
    """

    def __init__(self, key, trigger=(1, 'epoch')):
        super().__init__(key, lambda best, new: new > best, trigger)


class MinValueTrigger(BestValueTrigger):
    """Fires when the mean of a reported value over an interval is the lowest so far.

    Args:
        key: Name of the value.
        trigger: Trigger that ends an interval.
    """

    def __init__(self, key, trigger=(1, 'epoch')):
        super().__init__(key, lambda best, new: new < best, trigger)
