"""The CPU with accelerated kernels.

Chainer called this iDeep, after the library that it used, and so do the names and the messages here. Ours is oneDNN,
see backends.onednn.
"""

import numpy

from chainlite import _backend
from chainlite.backends import _cpu
from chainlite.backends.onednn import _library
from chainlite.configuration import config


class mdarray:
    """The class of iDeep's own arrays.  No array is of this class: the kernels work on NumPy's."""


class Intel64Device(_backend.Device):
    """The CPU, with NumPy arrays and accelerated kernels: '@intel64'."""

    xp = numpy
    name = '@intel64'
    supported_array_types = (numpy.ndarray, mdarray)
    __hash__ = _backend.Device.__hash__

    def __init__(self):
        check_ideep_available()
        super().__init__()

    @staticmethod
    def from_array(array):
        """This device if `array` is an iDeep array, otherwise None."""
        return Intel64Device() if isinstance(array, mdarray) else None

    def __eq__(self, other):
        return isinstance(other, Intel64Device)

    def __repr__(self):
        return '<Intel64Device>'

    def send_array(self, array):
        return _cpu.array_to_cpu(array)

    def is_array_supported(self, array):
        return isinstance(array, (numpy.ndarray, mdarray))


def is_ideep_available():
    """Whether there are accelerated kernels."""
    return _library.library() is not None


def check_ideep_available():
    """Raises RuntimeError, with the reason, if there are no accelerated kernels."""
    if not is_ideep_available():
        raise RuntimeError(f'iDeep is not available.\nReason: {_library.unavailable_because()}')


_SHOULD_USE_IDEEP = {
    '==always': {'always': True, 'auto': False, 'never': False},
    '>=auto': {'always': True, 'auto': True, 'never': False},
}


def should_use_ideep(level):
    """Whether `config.use_ideep` and this machine allow accelerated kernels.

    Args:
        level: '==always' or '>=auto', what the configuration has to be.
    """
    if not is_ideep_available():
        return False
    if level not in _SHOULD_USE_IDEEP:
        raise ValueError(f'invalid iDeep use level: {level!r} (must be either of "==always" or ">=auto")')
    try:
        return _SHOULD_USE_IDEEP[level][config.use_ideep]
    except KeyError:
        raise ValueError(
            f'invalid use_ideep configuration: {config.use_ideep!r} (must be either of "always", "auto", or "never")'
        ) from None


def inputs_all_ready(inputs, supported_ndim=(2, 4)):
    """Whether the accelerated kernels take all of `inputs`: float32 arrays with a supported number of dimensions."""
    if not is_ideep_available():
        return False
    return all(
        isinstance(x, (numpy.ndarray, mdarray)) and x.dtype == numpy.float32 and x.ndim in supported_ndim
        for x in inputs
    )
