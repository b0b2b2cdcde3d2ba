from chainlite.training.extensions._shift import Shift


class MultistepShift(Shift):
    """Multiplies a hyperparameter by a constant at given numbers of calls.

    Args:
        attr: Name of the attribute of the optimizer.
        gamma: The factor.
        step_value: List of the numbers of calls, ascending.
        init: First value.
        optimizer: The optimizer; None for the updater's main one.
    """

    _saves_last_value = False  # Chainer saves the number of steps instead

    def __init__(self, attr, gamma, step_value, init, optimizer=None):
        super().__init__(attr, init, optimizer)
        self._gamma = gamma
        self._step_value = step_value

    def _steps(self, t):
        return sum(step <= t for step in self._step_value)

    def _value(self, t):
        return self._init * self._gamma ** self._steps(t)

    def serialize(self, serializer):
        super().serialize(serializer)
        serializer('_current_step', self._steps(self._t))
