"""Keyword arguments: unexpected ones, and those that were removed long ago."""

import functools
import sys

_USING_CONFIG = '{} argument is not supported anymore. Use chainer.using_config'
_REMOVED = {
    'deterministic': '{} argument is not supported anymore. '
    "Use chainer.using_config('cudnn_deterministic', value) context where value is either `True` or `False`.",
}


@functools.cache
def removed(*names):
    """The messages for arguments of these names, as what the functions below take for `unexpected`."""
    return {name: _REMOVED.get(name, _USING_CONFIG).format(name) for name in names}


def removed_arguments(*names, **messages):
    """A decorator: passing an argument of these names raises ValueError, which names today's spelling.

    `@removed_arguments('train')` on `dropout` is for programs that still call `dropout(x, train=True)`.
    A name that is given as a keyword comes with its own message.
    """
    messages = {**removed(*names), **messages}

    def decorate(f):
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            if kwargs and not messages.keys().isdisjoint(kwargs):
                raise ValueError(next(messages[name] for name in kwargs if name in messages))
            return f(*args, **kwargs)

        return wrapper

    return decorate


def parse_kwargs(kwargs, *name_and_values, **unexpected):
    """The values of some keyword arguments, as a tuple.

    Args:
        kwargs: dictionary of the arguments that were passed.
        name_and_values: pairs of the name of an argument and its default.
        unexpected: names of arguments that must not be passed, and messages that say why.

    Raises:
        ValueError: an argument of `unexpected` is there.
        TypeError: any other is there.
    """
    if not kwargs:
        return tuple([default for _, default in name_and_values])
    if unexpected:
        check_unexpected_kwargs(kwargs, **unexpected)
    values = tuple([kwargs.pop(name, default) for name, default in name_and_values])
    if kwargs:
        _raise_unexpected(kwargs, sys._getframe(1))
    return values


def check_unexpected_kwargs(kwargs, **unexpected):
    """Raises ValueError with the message for the first argument of `unexpected` that is there."""
    for name, message in unexpected.items():
        if name in kwargs:
            raise ValueError(message)


def assert_kwargs_empty(kwargs):
    """Raises TypeError if there are arguments left."""
    if kwargs:
        _raise_unexpected(kwargs, sys._getframe(1))


def _raise_unexpected(kwargs, frame):
    names = ', '.join(repr(name) for name in sorted(kwargs))
    raise TypeError(f'{frame.f_code.co_name}() got unexpected keyword argument(s) {names}')
