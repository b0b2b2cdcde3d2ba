"""The protocol by which objects are saved and loaded.

An object that can be saved names its parts in one method, which serves both directions::

    def serialize(self, serializer):
        self.count = serializer('count', self.count)    # a value: number, string, array or None
        self.child.serialize(serializer['child'])       # a part that has parts of its own

A :class:`Serializer` stores the value it is given and returns it; a :class:`Deserializer` returns the stored one and
writes an array into the array it is given.
"""

import numpy

from chainlite import backend
from chainlite.variable import Variable, VariableNode


class AbstractSerializer:
    """What serializers and deserializers have in common: ``serializer(key, value)`` and ``serializer[key]``."""

    def __getitem__(self, key):
        """Returns the serializer of the part named ``key`` (str)."""
        raise NotImplementedError

    def __call__(self, key, value):
        """Saves or loads the value named ``key``.

        Args:
            key (str): Name of the value within this part.
            value (scalar, str, array or None): The value to save; in loading, the one to replace, which says what type
                is expected. None takes the stored array as it is.

        Returns:
            ``value`` itself in saving and where an array was loaded in place, otherwise what was loaded.
        """
        raise NotImplementedError


class Serializer(AbstractSerializer):
    """Base of the serializers that save."""

    def save(self, obj):
        """Saves ``obj``, by its method ``serialize``; or each item of a dictionary, by its key."""
        if isinstance(obj, dict):
            for name, value in obj.items():
                self(name, value)
        else:
            obj.serialize(self)


class Deserializer(AbstractSerializer):
    """Base of the serializers that load."""

    # While `load` runs: pairs of an array that was written to and its content before. Parts share the list.
    _overwritten = None

    def load(self, obj):
        """Loads into ``obj``, by its method ``serialize``.

        If that raises, the links, parameters, optimizers and arrays that ``obj`` consists of are as before.
        """
        outer, self._overwritten = self._overwritten, []
        attributes = [(part, _attributes(part)) for part in _parts(obj, {}).values()]
        try:
            obj.serialize(self)
            if outer is not None:  # what obj is a part of may still fail
                outer += self._overwritten
        except BaseException:
            for part, before in attributes:
                _restore(part, before)
            for array, before in reversed(self._overwritten):
                array[...] = before
            raise
        finally:
            self._overwritten = outer

    def _write(self, array, data, entry):
        """Copies ``data``, a NumPy array, into ``array``, which may lie on any device.

        Leading dimensions of length one may differ, nothing else; ``entry`` says in errors where the data are from.

        Raises:
            ValueError: if the shapes differ.
            TypeError: if the cast is not one of the same kind.
        """
        if _significant(data.shape) != _significant(array.shape):
            raise ValueError(f'{entry} has shape {data.shape}, but the array to load it into has {array.shape}')
        target = numpy.dtype(numpy.float32) if extension_dtype(array) else array.dtype
        source = numpy.dtype(numpy.float32) if extension_dtype(data) else data.dtype
        if not numpy.can_cast(source, target, 'same_kind'):
            cast = f'{data.dtype!r} to {array.dtype!r}'
            raise TypeError(f"{entry}: Cannot cast array data from {cast} according to the rule 'same_kind'")
        if self._overwritten is not None:
            self._overwritten.append((array, array.copy()))
        data = data.reshape(array.shape).astype(array.dtype, copy=False)
        backend.copyto(array, data)
        return array


def _significant(shape):
    """The shape without the ones it begins with."""
    while shape[:1] == (1,):
        shape = shape[1:]
    return shape


def extension_dtype(array):
    """The name of the array's dtype if NumPy lacks it (``'bfloat16'``), otherwise None."""
    dtype = array.dtype
    return dtype.name if dtype.kind == 'V' and dtype.type is not numpy.void else None


def to_extension_dtype(array, name):
    """Casts an array to the dtype of that name; an ImportError names the package if it is not there."""
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError(f'ml_dtypes is needed to load {name} arrays: pip install chainlite[bfloat16]') from None
    return array.astype(getattr(ml_dtypes, name))


# What loading may change, and how it is put back.


def _parts(obj, found):
    """Collects into ``found``, by id, what ``obj`` consists of: variables, and objects with a method ``serialize``.

    Iterators are left out: one may own processes and threads, which attributes put back would contradict.
    """
    changes = isinstance(obj, (Variable, VariableNode)) or hasattr(type(obj), 'serialize')
    if id(obj) in found or not changes or hasattr(type(obj), '__next__'):
        return found
    found[id(obj)] = obj
    for value, items in _attributes(obj).values():
        for part in (value,) if items is None else items.values() if isinstance(items, dict) else items:
            _parts(part, found)
    return found


def _attributes(obj):
    """The object's attributes: by name, the value and, of a container, what it holds."""
    values = dict(getattr(obj, '__dict__', {}))
    for cls in type(obj).__mro__:
        slots = getattr(cls, '__slots__', ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name != '__weakref__' and hasattr(obj, name):
                values[name] = getattr(obj, name)
    return {name: (v, v.copy() if isinstance(v, (dict, list, set)) else None) for name, v in values.items()}


def _restore(obj, attributes):
    """Puts back what :func:`_attributes` found."""
    for name in set(getattr(obj, '__dict__', ())) - set(attributes):
        del obj.__dict__[name]
    for name, (value, items) in attributes.items():
        if items is not None:
            value.clear()
            (value.extend if isinstance(value, list) else value.update)(items)
        object.__setattr__(obj, name, value)
