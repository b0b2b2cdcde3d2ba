from chainlite.training.extensions._shift import Shift


class LinearShift(Shift):
    """Moves a hyperparameter from one value to another at a constant speed.

    Args:
        attr: Name of the attribute of the optimizer.
        value_range: First and last value.
        time_range: Numbers of calls between which it moves.
        optimizer: The optimizer; None for the updater's main one.
    """

    def __init__(self, attr, value_range, time_range, optimizer=None):
        super().__init__(attr, value_range[0], optimizer)
        self._value_range = value_range
        self._time_range = time_range

    def _value(self, t):
        (start, end), (first, last) = self._value_range, self._time_range
        if t <= first:
            return start
        if t >= last:
            return end
        rate = (t - first) / (last - first)
        return start + rate * (end - start)
