from chainlite.training.extensions._shift import Shift, limited


class StepShift(Shift):
    """Multiplies a hyperparameter by a constant in every so many calls.

    Args:
        attr: Name of the attribute of the optimizer.
        gamma: The factor.
        step: Number of calls between two steps.
        init: First value; None for the one it has.
        target: Value at which it stays; None for none.
        optimizer: The optimizer; None for the updater's main one.
    """

    def __init__(self, attr, gamma, step, init=None, target=None, optimizer=None):
        super().__init__(attr, init, optimizer)
        self._gamma = gamma
        self._step = step
        self._target = target

    def _value(self, t):
        return limited(self._init * self._gamma ** (t // self._step), self._target, self._gamma > 1)
