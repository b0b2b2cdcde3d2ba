from chainlite.training.extensions._shift import Shift, limited


class ExponentialShift(Shift):
    """Multiplies a hyperparameter by a constant each time it is called.

    Use it with a trigger such as ``(1, 'epoch')``.

    Args:
        attr: Name of the attribute of the optimizer, such as ``'lr'``.
        rate: The factor; negative ones are not supported.
        init: First value; None for the one it has.
        target: Value at which it stays; None for none.
        optimizer: The optimizer; None for the updater's main one.
    """

    def __init__(self, attr, rate, init=None, target=None, optimizer=None):
        if rate < 0:
            raise ValueError('ExponentialShift does not support negative rate')
        super().__init__(attr, init, optimizer)
        self._rate = rate
        self._target = target

    def _value(self, t):
        return limited(self._init * self._rate**t, self._target, self._rate > 1)
