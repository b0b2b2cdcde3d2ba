"""What initializers have in common."""

import math

from chainlite import backend
from chainlite.configuration import get_dtype


class Initializer:
    """A callable that fills an array in place.

    Args:
        dtype: dtype of the arrays that it wants to fill; None leaves the choice to whoever makes them.
    """

    def __init__(self, dtype=None):
        self.dtype = dtype

    def __call__(self, array):
        """Fills `array`, on whatever device it is."""
        raise NotImplementedError

    def _check_dtype(self, array):
        assert self.dtype is None or array.dtype == get_dtype(self.dtype), f'{array.dtype} != {self.dtype}'


class RandomInitializer(Initializer):
    """An initializer that draws from `rng`, or from the random state of the array's library if that is None.

    NumPy draws in float64 whatever the array's dtype, so that a seed gives the same values in every dtype.
    """

    def __init__(self, scale, dtype=None, *, rng=None):
        super().__init__(dtype)
        self.scale = scale
        self.rng = rng

    def _draw(self, array, distribution, *parameters):
        """Fills `array` with samples; `distribution` is a method of the random state."""
        device = backend.get_device_from_array(array)
        options = {'size': array.shape}
        if isinstance(device, backend.GpuDevice) and self.rng is None:
            options['dtype'] = 'd' if array.dtype == 'd' else 'f'
        with backend.using_device(device):
            rng = device.xp.random if self.rng is None else self.rng
            array[...] = device.send(getattr(rng, distribution)(*parameters, **options))


def get_fans(shape):
    """Numbers of inputs and outputs, (fan_in, fan_out), of a unit whose weight has shape (outputs, inputs, *kernel)."""
    if len(shape) < 2:
        raise ValueError(f'shape must be of length >= 2. Actual shape: {shape}')
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel
