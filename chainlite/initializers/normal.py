"""Initializers that draw from normal distributions of mean 0."""

import math

from chainlite.initializer import RandomInitializer, get_fans


class Normal(RandomInitializer):
    """Standard deviation `scale`."""

    def __init__(self, scale=0.05, dtype=None, *, rng=None):
        super().__init__(scale, dtype, rng=rng)

    def __call__(self, array):
        self._check_dtype(array)
        self._draw(array, 'normal', 0.0, self.scale)


class _ByFans(RandomInitializer):
    def __init__(self, scale=1.0, dtype=None, *, rng=None):
        super().__init__(scale, dtype, rng=rng)

    def __call__(self, array):
        self._check_dtype(array)
        self._draw(array, 'normal', 0.0, self.scale * math.sqrt(1 / self._fan(*get_fans(array.shape))))

    def _fan(self, fan_in, fan_out):
        raise NotImplementedError


class LeCunNormal(_ByFans):
    """Standard deviation `scale * sqrt(1 / fan_in)`: keeps the variance of what passes through a linear unit.

    LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998.
    """

    def _fan(self, fan_in, fan_out):
        return fan_in


class GlorotNormal(_ByFans):
    """Standard deviation `scale * sqrt(2 / (fan_in + fan_out))`: a compromise between forward and backward variance.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """

    def _fan(self, fan_in, fan_out):
        return (fan_in + fan_out) / 2


class HeNormal(_ByFans):
    """Standard deviation `scale * sqrt(2 / fan)`: keeps the variance through a rectified linear unit.

    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.

    Args:
        fan_option: 'fan_in' keeps the variance of activations, 'fan_out' that of gradients.
    """

    def __init__(self, scale=1.0, dtype=None, fan_option='fan_in', *, rng=None):
        super().__init__(scale, dtype, rng=rng)
        self.fan_option = fan_option

    def _fan(self, fan_in, fan_out):
        if self.fan_option not in ('fan_in', 'fan_out'):
            raise ValueError("fan_option should be either 'fan_in' or 'fan_out'.")
        return (fan_in if self.fan_option == 'fan_in' else fan_out) / 2
