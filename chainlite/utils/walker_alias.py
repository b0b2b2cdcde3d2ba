"""Sampling from a discrete distribution in constant time."""

import numpy

from chainlite import device_resident
from chainlite.backends import cuda


class WalkerAlias(device_resident.DeviceResident):
    """Draws integers with given probabilities, by Walker's alias method.

    The unit interval of each of n equal bins is split at a threshold between two outcomes, so that a sample needs one
    random number, one comparison and no search.

    Args:
        probs: sequence of n probabilities; they need not add up to 1.
    """

    def __init__(self, probs):
        super().__init__()
        share = numpy.array(probs, numpy.float32)
        n = len(share)
        share = (share / share.sum()).astype(numpy.float64)
        order = numpy.argsort(share, kind='stable')
        self.threshold = numpy.empty(n, numpy.float32)
        self.values = numpy.zeros(2 * n, numpy.int32)
        donor = numpy.count_nonzero(share <= 1 / n) if n else 0
        for i, small in enumerate(order):
            self.threshold[i] = share[small] * n
            donor = max(donor, i + 1)
            large = order[donor] if donor < n else small  # no donor is left when what is left fills its bin
            self.values[2 * i : 2 * i + 2] = small, large
            if large != small:
                share[large] -= 1 / n - share[small]
                donor += bool(share[large] <= 1 / n)

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        self.threshold = visitor.visit_array(self.threshold)
        self.values = visitor.visit_array(self.values)

    @property
    def use_gpu(self):
        """Whether samples are drawn on a GPU."""
        return self.xp is not numpy

    def sample(self, shape):
        """Samples, an int32 array of this shape on the device of this object."""
        return self.sample_gpu(shape) if self.use_gpu else self.sample_xp(numpy, shape)

    def sample_xp(self, xp, shape):
        """Samples, an array of `xp`."""
        position = xp.random.uniform(0, 1, shape).astype(numpy.float32) * len(self.threshold)
        index = position.astype(numpy.int32)
        second = self.threshold[index] < position - index
        return self.values[index * 2 + second]

    def sample_gpu(self, shape):
        """Samples, a CuPy array."""
        return self.sample_xp(cuda.cupy, shape)
