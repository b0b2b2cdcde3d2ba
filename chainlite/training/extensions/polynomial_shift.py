from chainlite.training.extensions._shift import Shift, limited


class PolynomialShift(Shift):
    """Sets a hyperparameter to ``init * (1 - t / max_count) ** rate``, with t the number of calls.

    Args:
        attr: Name of the attribute of the optimizer.
        rate: Exponent; the value falls if it is positive.
        max_count: Number of calls at which the end is reached.
        init: First value; None for the one it has.
        target: Value at which it stays; None for none.
        optimizer: The optimizer; None for the updater's main one.
    """

    invoke_before_training = True

    def __init__(self, attr, rate, max_count, init=None, target=None, optimizer=None):
        super().__init__(attr, init, optimizer)
        self._rate = rate
        self._max_count = max_count
        self._target = target

    def _value(self, t):
        value = self._init * max(1 - t / self._max_count, 0) ** self._rate
        return limited(value, self._target, self._rate < 0)
