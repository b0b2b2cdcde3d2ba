"""Weight decay."""

from chainlite.backends._equations import equations
from chainlite.optimizer_hooks._formula import FormulaHook


@equations
def _weight_decay(grad, param, *, rate):
    return grad + rate * param


class WeightDecay(FormulaHook):
    """Adds ``rate * param`` to each gradient: the gradient of the L2 penalty rate / 2 * sum(param**2).

    Args:
        rate (float): Coefficient of the decay.
    """

    name = 'WeightDecay'

    def __init__(self, rate):
        self.rate = rate

    def step(self, loss_scale):
        return _weight_decay, {'rate': self.rate if loss_scale is None else self.rate * loss_scale}
