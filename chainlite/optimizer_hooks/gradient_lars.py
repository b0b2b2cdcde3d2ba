"""Layer-wise adaptive rate scaling."""

import numpy

from chainlite.backend import using_device
from chainlite.backends._equations import equations, sqrt, where
from chainlite.backends.cuda import is_cupy_array


@equations
def _decay_and_scale(grad, param, *, rate, weight_decay):
    return rate * (grad + weight_decay * param)


@equations
def _decay_and_adapt(grad, param, p_square, g_square, *, threshold, weight_decay, eps):
    p_norm, g_norm = sqrt(p_square), sqrt(g_square)
    rate = where(p_norm > threshold, p_norm / (eps + g_norm + weight_decay * p_norm), 1)
    return rate * (grad + weight_decay * param)


def _square(x):
    """Sum of the squares of an array, in float32 at least."""
    x = x.ravel()
    if x.dtype.itemsize < 4:
        x = x.astype(numpy.float32)
    return x.dot(x)


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
            squares = _square(p), _square(g)
            if is_cupy_array(p):  # nothing waits for the norms
                scalars = dict(threshold=self.threshold, weight_decay=self.weight_decay, eps=self.eps)
                _decay_and_adapt(g, p, *squares, **scalars, out=g)
                return
            p_norm, g_norm = [float(square) ** 0.5 for square in squares]
            rate = p_norm / (self.eps + g_norm + self.weight_decay * p_norm) if p_norm > self.threshold else 1.0
            _decay_and_scale(g, p, rate=rate, weight_decay=self.weight_decay, out=g)
