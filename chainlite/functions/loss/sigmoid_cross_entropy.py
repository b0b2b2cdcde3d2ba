"""Cross entropy of sigmoid and labels."""

import numpy as np

from chainlite import backend
from chainlite._fused import Fused
from chainlite.functions.activation.softplus import softplus
from chainlite.functions.math.sum import sum
from chainlite.variable import Variable, as_variable


class SigmoidCrossEntropy(Fused):
    """-(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), per element or averaged. The label -1 does not count."""

    check = 'x: f (*s), t: i (*s)'
    ignore_label = -1

    def __init__(self, normalize=True, reduce='mean'):
        if reduce not in ('mean', 'no'):
            raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")
        self.normalize, self.reduce = normalize, reduce

    def forward_kernel(self, x, t):
        xp = backend.get_array_module(x)
        counts = t != self.ignore_label
        wide = x.astype('f') if x.itemsize == 2 else x
        loss = counts * (xp.maximum(wide, 0) - wide * t + xp.log1p(xp.exp(-abs(wide))))
        if self.reduce == 'no':
            return loss.astype(x.dtype, copy=False), (counts, None)
        if not self.normalize:
            scale = 1.0 / max(len(x), 1)
        elif xp is np:
            scale = 1.0 / max(int(counts.sum()), 1)
        else:  # an array, as looking at it would wait for the device
            scale = 1 / xp.maximum(counts.sum(), 1).astype(wide.dtype)
        return xp.asarray(loss.sum() * scale, x.dtype), (counts, scale)

    def backward_kernel(self, saved, gloss, x, t):
        counts, scale = saved
        xp = backend.get_array_module(x)
        wide = x.astype('f') if x.itemsize == 2 else x
        gx = xp.tanh(wide * wide.dtype.type(0.5)) * wide.dtype.type(0.5) + wide.dtype.type(0.5) - t
        gx *= counts
        gx *= gloss if scale is None else gloss * scale
        return gx.astype(x.dtype, copy=False), None

    def formula(self, x, t):
        counts, scale = self.saved
        loss = (softplus(x) - x * Variable(t.array.astype(x.dtype), requires_grad=False)) * counts.astype(x.dtype)
        if scale is None:
            return loss
        return sum(loss) * (scale if isinstance(scale, float) else scale.astype(x.dtype))


def sigmoid_cross_entropy(x, t, normalize=True, reduce='mean'):
    """Cross entropy of sigmoid(x) and binary labels, without overflow.

    Args:
        x: float array of any shape.
        t: int array of the same shape: 0, 1, or -1 for what does not count.
        normalize: whether to divide by the number of labels that count, instead of by the length of `x`.
        reduce: 'mean' for a scalar, 'no' for an array.
    """
    return SigmoidCrossEntropy(normalize, reduce).apply((as_variable(x), as_variable(t)))[0]
