"""Initializers that draw from uniform distributions over [-s, s]."""

import math

from chainlite.initializer import RandomInitializer, get_fans


class Uniform(RandomInitializer):
    """s = `scale`."""

    def __init__(self, scale=0.05, dtype=None, *, rng=None):
        super().__init__(scale, dtype, rng=rng)

    def __call__(self, array):
        self._check_dtype(array)
        self._draw(array, 'uniform', -self.scale, self.scale)


class _ByFans(RandomInitializer):
    def __init__(self, scale=1.0, dtype=None, *, rng=None):
        super().__init__(scale, dtype, rng=rng)

    def __call__(self, array):
        self._check_dtype(array)
        s = self.scale * math.sqrt(3 / self._fan(*get_fans(array.shape)))
        self._draw(array, 'uniform', -s, s)

    def _fan(self, fan_in, fan_out):
        raise NotImplementedError


class LeCunUniform(_ByFans):
    """s = `scale * sqrt(3 / fan_in)`: the variance of `LeCunNormal`."""

    def _fan(self, fan_in, fan_out):
        return fan_in


class GlorotUniform(_ByFans):
    """s = `scale * sqrt(6 / (fan_in + fan_out))`: the variance of `GlorotNormal`."""

    def _fan(self, fan_in, fan_out):
        return (fan_in + fan_out) / 2


class HeUniform(_ByFans):
    """s = `scale * sqrt(6 / fan_in)`: the variance of `HeNormal`."""

    def _fan(self, fan_in, fan_out):
        return fan_in / 2
