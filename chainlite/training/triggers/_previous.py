"""The point of the last call, by which a trigger sees what it has passed since: it may be called rarely."""

import warnings

from chainlite.serializer import Serializer


class SincePrevious:
    """Base of triggers that fire when a point lies between their last call and now."""

    def __init__(self):
        self._previous_iteration = 0
        self._previous_epoch_detail = 0.0

    def _step(self, updater):
        """Returns the iterations and the fractional epochs at the last call and now: two pairs."""
        if self._previous_iteration < 0:  # loaded from a file without them
            self._previous_iteration = updater.iteration - 1
        if self._previous_epoch_detail < 0:
            self._previous_epoch_detail = updater.previous_epoch_detail or 0.0
        before = self._previous_iteration, self._previous_epoch_detail
        now = updater.iteration, updater.epoch_detail
        self._previous_iteration, self._previous_epoch_detail = now
        return (before[0], now[0]), (before[1], now[1])

    def serialize(self, serializer):
        """Saves or loads the point of the last call."""
        name = type(self).__name__
        rarely = 'If this trigger is not called at every iteration, it may not work correctly.'
        self._previous_iteration = load_or(
            serializer,
            'previous_iteration',
            self._previous_iteration,
            -1,
            f'The previous value of iteration is not saved. {name} guesses it using current iteration. {rarely}',
        )
        self._previous_epoch_detail = load_or(
            serializer,
            'previous_epoch_detail',
            self._previous_epoch_detail,
            -1.0,
            'The previous value of epoch_detail is not saved. '
            f'{name} uses the value of trainer.updater.previous_epoch_detail. {rarely}',
        )


def load_or(serializer, key, value, default, message=None):
    """Saves or loads a value; where a file lacks it, warns (if there is a message) and returns the default."""
    try:
        return serializer(key, value)
    except KeyError:
        if isinstance(serializer, Serializer):
            raise
        if message is not None:
            warnings.warn(message)
        return default
