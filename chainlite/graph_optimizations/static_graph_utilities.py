"""Marks for code in static graphs."""

import functools

from chainlite._capturing import CannotCapture
from chainlite.configuration import config


class RunsInPython(CannotCapture):
    """Raised in a capture by what is marked as static code."""


def static_code(*dec_args, **dec_kwargs):
    """Decorator of functions that a static chain calls and that have to run in Python in every call.

    A chain that calls one is not captured: its forward pass always runs in Python. (Without the mark, code that is not
    made of functions and links, such as printing or counting, runs only while the chain is captured.)

    Args:
        dec_args: The function, if the decorator is used without parentheses.
        dec_kwargs: Taken for compatibility.
    """

    def decorate(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            if config.schedule_func is not None:
                raise RunsInPython(f'it calls {func.__qualname__}, which is marked to run in Python in every call')
            return func(*args, **kwargs)

        return wrapper

    if len(dec_args) == 1 and not dec_kwargs and callable(dec_args[0]):
        return decorate(dec_args[0])
    return decorate


def static_forward_optimizations(func, inputs):
    """The output arrays of a function node: what ``func.forward(inputs)`` returns."""
    return func.forward(inputs)
