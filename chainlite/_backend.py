"""What devices of all kinds have in common."""


class Device:
    """A place where arrays live and are computed on."""

    @property
    def xp(self):
        """The module (`numpy`, `cupy`) whose functions take this device's arrays."""
        raise NotImplementedError

    @property
    def name(self):
        """The specifier, such as '@cupy:0', that `get_device` turns into this device."""
        raise NotImplementedError

    @property
    def supported_array_types(self):
        """Tuple of the classes of arrays that may live here."""
        raise NotImplementedError

    def __str__(self):
        return self.name

    def __eq__(self, other):
        raise NotImplementedError

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self.name)

    def __enter__(self):
        raise RuntimeError(
            'Device class does not support runtime context using `with` statement. Use chainer.using_device instead.'
        )

    def __exit__(self, exc_type, exc_value, traceback):
        pass

    def create_context(self):
        """A context manager in which this is the current device of its library."""
        return _nothing_to_switch

    def use(self):
        """Makes this the current device of its library in this thread."""

    def send(self, arrays):
        """Copies an array, or those of a list or tuple, to this device; what is here already is passed as it is."""
        return map_arrays(self.send_array, arrays)

    def send_array(self, array):
        """Copies one array to this device, or returns it if it is here already."""
        raise NotImplementedError

    def is_array_supported(self, array):
        """Whether `array` lives on this device."""
        raise NotImplementedError


class _NothingToSwitch:
    def __enter__(self):
        pass

    def __exit__(self, exc_type, exc_value, traceback):
        pass


_nothing_to_switch = _NothingToSwitch()


def map_arrays(convert, arrays):
    """Applies `convert` to an array, or to those of a list or tuple; one that appears twice is converted once."""
    if arrays is None:
        return None
    if not isinstance(arrays, (list, tuple)):
        return convert(arrays)
    converted = {id(None): None}
    for array in arrays:
        if id(array) not in converted:
            converted[id(array)] = convert(array)
    return type(arrays)([converted[id(array)] for array in arrays])
