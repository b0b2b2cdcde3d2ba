"""Properties that are computed once."""

import functools

from chainlite.configuration import config


class cached_property:
    """A decorator for a read-only property that is computed once with and once without a graph.

    The two are different: a Variable computed in `no_backprop_mode` cannot be backpropagated.
    """

    def __init__(self, func):
        functools.update_wrapper(self, func)
        self.func = func

    def __get__(self, obj, cls):
        if obj is None:
            return self
        values = obj.__dict__.setdefault(self.__name__, {})
        key = config.enable_backprop
        if key not in values:
            values[key] = self.func(obj)
        return values[key]

    def __set__(self, obj, cls):  # being there, it keeps the instance's dictionary from coming first
        raise AttributeError(f'attribute {self.__name__!r} is readonly')
