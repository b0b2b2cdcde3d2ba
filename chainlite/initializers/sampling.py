"""Filters that make a (de)convolution resize images."""

import functools

import numpy

from chainlite import backend
from chainlite.initializer import Initializer


class _SamplingFilter(Initializer):
    _upsampling: bool

    def __init__(self, interpolation='linear', dtype=None):
        if interpolation != 'linear':
            raise ValueError(f'Unsupported interpolation method: {interpolation}')
        super().__init__(dtype)

    def __call__(self, array):
        self._check_dtype(array)
        assert array.ndim >= 3
        channels, per_channel, size, *others = array.shape
        assert per_channel in (1, channels)
        for other in others:
            if other != size:
                raise ValueError(f'ksize must be all same: {size} != {other}')
        kernel = _linear_filter(size, array.ndim - 2)
        if not self._upsampling:
            kernel /= kernel.sum()
        kernel = backend.get_device_from_array(array).send(kernel.astype(array.dtype))
        array[...] = 0
        for c in range(channels):
            array[c, c % per_channel] = kernel


def _linear_filter(size, ndim):
    """The tent, 1 at its centre, that interpolates linearly between samples `(size + 1) // 2` apart."""
    width = (size + 1) // 2
    centre = (size - 1) / 2
    tent = 1 - abs(numpy.arange(size) - centre) / width
    return functools.reduce(numpy.multiply.outer, [tent] * ndim)


class UpsamplingDeconvFilter(_SamplingFilter):
    """Weight of a deconvolution that enlarges each channel by linear interpolation.

    The array has shape (c, c, k, k, ...), or (c, 1, k, k, ...) for one group per channel; a kernel of size
    `2 * r - r % 2`, stride r and padding `r // 2` enlarges r-fold.

    Long, Shelhamer and Darrell, Fully convolutional networks for semantic segmentation, 2015.

    Args:
        interpolation: 'linear'.
        dtype: dtype of the array.
    """

    _upsampling = True


class DownsamplingConvFilter(_SamplingFilter):
    """Weight of a convolution that shrinks each channel; its elements add up to 1.  As `UpsamplingDeconvFilter`."""

    _upsampling = False
