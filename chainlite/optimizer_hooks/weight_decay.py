"""Weight decay."""

from chainlite.backend import using_device
from chainlite.backends._equations import equations


@equations
def _weight_decay(grad, param, *, rate):
    return grad + rate * param


class WeightDecay:
    """Adds ``rate * param`` to each gradient: the gradient of the L2 penalty rate / 2 * sum(param**2).

    Args:
        rate (float): Coefficient of the decay.
    """

    name = 'WeightDecay'
    call_for_each_param = True
    timing = 'pre'

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, rule, param):
        p, g = param.array, param.grad
        if p is None or g is None:
            return
        formula, scalars = self.step(param._loss_scale)
        with using_device(param.device):
            formula(g, p, **scalars, out=g)

    def step(self, loss_scale):
        """The equations of the new gradient, of the gradient and the parameter, and their scalars.

        Args:
            loss_scale (float): By what the gradient is multiplied, or None.
        """
        return _weight_decay, {'rate': self.rate if loss_scale is None else self.rate * loss_scale}
