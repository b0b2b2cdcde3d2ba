"""Layer-wise adaptive rate scaling."""

import numpy

from chainlite.backend import using_device
from chainlite.backends._equations import equations


@equations
def _decay_and_scale(grad, param, *, rate, weight_decay):
    return rate * (grad + weight_decay * param)


def _norm(x):
    """L2 norm of an array, in float32 at least."""
    x = x.ravel()
    if x.dtype.itemsize < 4:
        x = x.astype(numpy.float32)
    return float(x.dot(x)) ** 0.5


class GradientLARS:
    """Scales each gradient by the ratio of the norms of the parameter and of the gradient (LARS).

    See You, Gitman and Ginsburg, https://arxiv.org/abs/1708.03888. The optimizer's learning rate is the paper's global
    one, with its trust coefficient in it.

    Args:
        threshold (float): Parameters whose norm is not above it are not scaled.
        weight_decay (float): Coefficient of the weight decay, added before the scaling.
        eps (float): Added to the divisor, for numerical stability.
    """

    name = 'GradientLARS'
    call_for_each_param = True
    timing = 'pre'

    def __init__(self, threshold=1e-2, weight_decay=0.0, eps=1e-9):
        self.threshold = threshold
        self.weight_decay = weight_decay
        self.eps = eps

    def __call__(self, rule, param):
        p, g = param.array, param.grad
        if p is None or g is None:
            return
        with using_device(param.device):
            p_norm = _norm(p)
            rate = 1.0
            if p_norm > self.threshold:
                rate = p_norm / (self.eps + _norm(g) + self.weight_decay * p_norm)
            _decay_and_scale(g, p, rate=rate, weight_decay=self.weight_decay, out=g)
