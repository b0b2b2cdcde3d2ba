from chainlite import reporter
from chainlite.training import util
from chainlite.training.extension import PRIORITY_EDITOR, Extension
from chainlite.variable import as_array


class MicroAverage(Extension):
    """Reports the quotient of the sums of two reported values over an interval.

    Args:
        numerator_key, denominator_key: Names of the two values.
        result_key: Name of the quotient.
        trigger: Trigger that ends an interval.
    """

    priority = PRIORITY_EDITOR

    def __init__(self, numerator_key, denominator_key, result_key, trigger=(1, 'epoch')):
        self._trigger = util.get_trigger(trigger)
        self._numerator_key = numerator_key
        self._denominator_key = denominator_key
        self._result_key = result_key
        self._numerator = 0
        self._denominator = 0

    def __call__(self, trainer):
        self._numerator += as_array(trainer.observation[self._numerator_key])
        self._denominator += as_array(trainer.observation[self._denominator_key])
        if self._trigger(trainer):
            result = float(self._numerator) / float(self._denominator)
            self._numerator = self._denominator = 0
            reporter.report({self._result_key: result})

    def serialize(self, serializer):
        """Saves or loads the trigger and the sums."""
        if hasattr(self._trigger, 'serialize'):
            self._trigger.serialize(serializer['_trigger'])
        self._numerator = serializer('_numerator', self._numerator)
        self._denominator = serializer('_denominator', self._denominator)
