"""Modules of a family as attributes: `F.math.minmax` is imported when it is first used, as the functions are."""

import importlib
import importlib.util


def modules_of(family):
    """The `__getattr__` of a package."""

    def __getattr__(name):
        if name.startswith('__') or importlib.util.find_spec(f'{family}.{name}') is None:
            raise AttributeError(f'module {family!r} has no attribute {name!r}')
        return importlib.import_module(f'{family}.{name}')

    return __getattr__
