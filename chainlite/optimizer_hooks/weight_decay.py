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
        rate = self.rate
        if param._loss_scale is not None:  # the gradient is still multiplied by it
            rate = rate * param._loss_scale
        with using_device(param.device):
            _weight_decay(g, p, rate=rate, out=g)
