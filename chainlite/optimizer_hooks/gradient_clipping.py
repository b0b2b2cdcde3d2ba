"""Clipping of the norm of all gradients together."""

import math

import numpy

from chainlite.backend import using_device


def _square_sum(param):
    """The sum of squares of a gradient, in float32 at least, where the gradient is."""
    with using_device(param.device):
        g = param.grad.ravel()
        if g.dtype.itemsize < 4:
            g = g.astype(numpy.float32)
        return g.dot(g)


class GradientClipping:
    """Scales all gradients by one factor so that their common L2 norm is at most ``threshold``.

    Args:
        threshold (float): Largest norm of all gradients taken as one vector.
    """

    name = 'GradientClipping'
    timing = 'pre'

    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, opt):
        params = [param for param in opt.target.params() if param.grad is not None]
        # Each device computes its sums before the first is waited for.
        norm = math.sqrt(sum(map(float, [_square_sum(param) for param in params])))
        if norm <= self.threshold or math.isnan(norm):
            return
        for param in params:
            with using_device(param.device):
                param.grad *= self.threshold / norm
