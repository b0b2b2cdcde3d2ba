"""Methods that subclasses may not override."""

import warnings


def final(*args, **kwargs):
    """A decorator for methods: overriding one raises TypeError, or warns.

    The class has to derive from `enable_final()`.

    Args:
        action: the category of a warning to give instead of the error.
    """
    action = kwargs.pop('action', TypeError)
    assert not kwargs

    def decorate(f):
        f.on_override = action
        return f

    return decorate(*args) if args else decorate


def enable_final(base=(), meta_base=()):
    """A base class whose subclasses respect `final`.

    Args:
        base: tuple of its base classes.
        meta_base: tuple of the base classes of its metaclass.
    """
    metaclass = type('FinalMeta', tuple(meta_base), {}) if meta_base else type

    class EnableFinal(*base, metaclass=metaclass):
        def __init_subclass__(cls, **kwargs):
            super().__init_subclass__(**kwargs)
            for name in vars(cls):
                _check_override(cls, name)

    return EnableFinal


def _check_override(cls, name):
    for base in cls.__mro__[1:]:
        action = getattr(vars(base).get(name), 'on_override', None)
        if action is TypeError:
            raise TypeError(f'method {name!r} is final.')
        if action is not None:
            warnings.warn(f'Overriding method {name!r}.', action, stacklevel=3)
            return
