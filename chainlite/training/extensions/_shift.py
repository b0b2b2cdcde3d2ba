"""What the extensions that move a hyperparameter share."""

from chainlite.serializer import Serializer
from chainlite.training.extension import Extension


class Shift(Extension):
    """Base of extensions that set an attribute of an optimizer to a value that depends on how often they were called.

    A subclass overrides :meth:`_value`. On resuming, the attribute is what it was.

    Args:
        attr: Name of the attribute.
        init: Its first value; None for the one it has.
        optimizer: The optimizer; None for the updater's main one.
    """

    _saves_last_value = True

    def __init__(self, attr, init=None, optimizer=None):
        self._attr = attr
        self._init = init
        self._optimizer = optimizer
        self._t = 0
        self._last_value = None

    def _value(self, t):
        """Returns the value after ``t`` calls."""
        raise NotImplementedError

    def _get_optimizer(self, trainer):
        return self._optimizer or trainer.updater.get_optimizer('main')

    def _set(self, trainer, value):
        setattr(self._get_optimizer(trainer), self._attr, value)
        self._last_value = value

    def initialize(self, trainer):
        if self._init is None:
            self._init = getattr(self._get_optimizer(trainer), self._attr)
        if self._last_value is not None:  # loaded
            self._set(trainer, self._last_value)
        else:
            self._set(trainer, self._value(self._t) if self._t else self._first())

    def _first(self):
        return self._init

    def __call__(self, trainer):
        self._t += 1
        self._set(trainer, self._value(self._t))

    def serialize(self, serializer):
        """Saves or loads the number of calls and the value."""
        self._t = serializer('_t', self._t)
        if not self._saves_last_value:
            return
        value = serializer('_last_value', self._last_value)
        # On loading, a zero-dimensional array.
        self._last_value = value if isinstance(serializer, Serializer) or value is None else _as_scalar(value)


def _as_scalar(value):
    return value.item() if hasattr(value, 'item') else value


def limited(value, target, grows):
    """Returns the value, or the target once the value has passed it."""
    if not target:
        return value
    ratio = value / target
    return target if (ratio > 1 if grows else ratio < 1) else value
