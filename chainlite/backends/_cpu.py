"""The CPU with plain NumPy arrays."""

import numpy

from chainlite import _backend


class CpuDevice(_backend.Device):
    """The CPU, with NumPy arrays: '@numpy'."""

    xp = numpy
    name = '@numpy'
    supported_array_types = (numpy.ndarray,)
    __hash__ = _backend.Device.__hash__

    @staticmethod
    def from_array(array):
        """The CPU if `array` is a NumPy array, otherwise None."""
        return CpuDevice() if isinstance(array, numpy.ndarray) else None

    def __eq__(self, other):
        return isinstance(other, CpuDevice)

    def __repr__(self):
        return '<CpuDevice (numpy)>'

    def send_array(self, array):
        return array_to_cpu(array)

    def is_array_supported(self, array):
        return isinstance(array, numpy.ndarray)


def array_to_cpu(array):
    """A NumPy array with the same values; NumPy arrays are passed as they are."""
    if array is None or isinstance(array, numpy.ndarray):
        return array
    if numpy.isscalar(array):
        return numpy.asarray(array)
    if type(array).__module__.partition('.')[0] in ('cupy', 'cupyx'):
        return array.get()
    raise TypeError(f'Array cannot be converted into an numpy.ndarray\nActual type: {type(array)}.')


def _to_cpu(array):
    """Copies an array, or those of a list or tuple, to the host (Chainer's name for it, which programs use)."""
    return CpuDevice().send(array)
