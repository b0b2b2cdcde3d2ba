"""ChainerX, Chainer's compiled backend, which is not part of this package: its names exist and say so."""

from chainlite import _backend

_UNAVAILABLE = 'ChainerX is not available.'


class ChainerxDevice(_backend.Device):
    """A ChainerX device; there are none, so that making one raises RuntimeError."""

    xp = None
    supported_array_types = ()
    __hash__ = _backend.Device.__hash__

    def __init__(self, device):
        raise RuntimeError(_UNAVAILABLE)

    @property
    def name(self):
        raise RuntimeError(_UNAVAILABLE)

    @property
    def fallback_device(self):
        """The device that stands in for this one where ChainerX lacks a function."""
        raise RuntimeError(_UNAVAILABLE)

    @staticmethod
    def from_array(array):
        """None: no array is a ChainerX array."""
        return None

    @staticmethod
    def from_fallback_device(device):
        """Raises RuntimeError."""
        raise RuntimeError(_UNAVAILABLE)

    def __eq__(self, other):
        return isinstance(other, ChainerxDevice)

    def __repr__(self):
        return '<ChainerxDevice>'

    def create_context(self):
        raise RuntimeError(_UNAVAILABLE)

    def use(self):
        raise RuntimeError(_UNAVAILABLE)

    def send_array(self, array):
        raise RuntimeError(_UNAVAILABLE)

    def is_array_supported(self, array):
        return False


def to_chx(array):
    """Raises RuntimeError for an array; None and lists of None pass."""
    return _backend.map_arrays(_refuse, array)


def _refuse(array):
    raise RuntimeError(_UNAVAILABLE)


def from_chx(array):
    """Returns arrays as they are, since they are not ChainerX's."""
    return _backend.map_arrays(_check_is_array, array)


def _check_is_array(array):
    if hasattr(array, 'dtype') and hasattr(array, 'shape'):
        return array
    raise TypeError(f'Tried to convert to a non-ChainerX array from an invalid type: {type(array)}')
