"""Clipping of the norm of all gradients together."""

import math

import numpy

from chainlite.backend import using_device
from chainlite.backends import cuda
from chainlite.backends._equations import equations


@equations
def _scale(grad, *, rate):
    return grad * rate


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
        scaling = self.scaling(params) if params else None
        for param in params if scaling else ():
            scaling(param.update_rule, param)

    def scaling(self, params, keep=lambda key, make: make()):
        """What is to be done with each gradient, as a hook for single parameters; None if nothing is.

        Where all gradients are on one GPU, the factor stays there: nothing waits for it.

        Args:
            params (list of Parameter): Those with gradients.
            keep (callable): ``keep(key, make)`` returns what it had for the key at the last update, or ``make()``.
        """
        tables = _tables([param.grad for param in params], keep)
        if tables:
            from chainlite.backends.gpu.multi_tensor import Numbers, clip_scale

            scaling = Scaling(cuda.cupy.empty((), 'd'), self, keep(('threshold',), Numbers))
            scaling.refresh()
            clip_scale(tables, scaling.numbers.array, scaling.rate)
            return scaling
        # Each device computes its sums before the first is waited for.
        norm = math.sqrt(sum(map(float, [_square_sum(param) for param in params])))
        return None if norm <= self.threshold or math.isnan(norm) else Scaling(self.threshold / norm)


def _tables(grads, keep):
    """Tables of gradients, one for each dtype; none if not all are contiguous arrays on the current GPU."""
    if not all(map(cuda.is_cupy_array, grads)):
        return []
    here = cuda.cupy.cuda.runtime.getDevice() if grads else 0
    by_dtype = {}
    for grad in grads:
        if not grad._c_contiguous or grad.data.device_id != here or grad.dtype.char not in 'efdE':
            return []
        by_dtype.setdefault(grad.dtype.char, []).append([grad])
    if not by_dtype:
        return []
    from chainlite.backends.gpu.multi_tensor import kept_table

    return [kept_table(keep, ('gradients', char), rows) for char, rows in by_dtype.items()]


class Scaling:
    """Multiplies a gradient by ``rate``: a float, or a float64 element in the memory of the gradient's device."""

    def __init__(self, rate, hook=None, numbers=None):
        self.rate, self.hook, self.numbers = rate, hook, numbers

    def refresh(self):
        """Brings the hook's threshold to the device."""
        self.numbers.put([self.hook.threshold], 'd')

    def __call__(self, rule, param):
        grad = param.grad
        if grad is not None:
            with using_device(param.device):
                grad *= self.rate if isinstance(self.rate, float) else self.rate.astype(grad.dtype)

    def step(self, loss_scale):
        """The equations of the new gradient, of the gradient, and their scalars."""
        return _scale, {'rate': self.rate}
