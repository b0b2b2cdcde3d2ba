from chainlite.training.extensions._shift import Shift, limited


class InverseShift(Shift):
    """Sets a hyperparameter to ``init * (1 + gamma * t) ** -power``, with t the number of calls.

    Args:
        attr: Name of the attribute of the optimizer.
        gamma: Speed; not negative.
        power: Exponent.
        init: First value; None for the one it has.
        target: Value at which it stays; None for none.
        optimizer: The optimizer; None for the updater's main one.
    """

    def __init__(self, attr, gamma, power, init=None, target=None, optimizer=None):
        if gamma < 0:
            raise ValueError('InverseShift does not support negative gamma')
        super().__init__(attr, init, optimizer)
        self._gamma = gamma
        self._power = power
        self._target = target

    def _value(self, t):
        value = self._init * (1 + self._gamma * t) ** (-self._power)
        return limited(value, self._target, self._power < 0)
