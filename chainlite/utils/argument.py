"""Keyword arguments: Chainer's checks of them."""


def parse_kwargs(kwargs, *name_and_values, **unexpected):
    """Values of the named arguments, in order; raises for others (TypeError) and for removed ones (ValueError)."""
    for name, message in unexpected.items():
        if name in kwargs:
            raise ValueError(message)
    values = [kwargs.pop(name, default) for name, default in name_and_values]
    if kwargs:
        import inspect
        caller = inspect.stack()[1]
        names = ', '.join(repr(name) for name in sorted(kwargs))
        raise TypeError(f'{caller.function}() got unexpected keyword argument(s) {names}')
    return tuple(values)
