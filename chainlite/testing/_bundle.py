"""Decorators that turn one test class into many.

The generated classes are put into the module of the class, where test runners find them. The name of the class itself
is bound to a bundle, which runners pass over and which the next decorator takes apart again.
"""

import sys
from typing import NamedTuple


class _Case(NamedTuple):
    klass: type
    module_name: str
    class_name: str


class Bundle:
    """What a decorated test class becomes: the classes made of it."""

    def __init__(self, cases):
        self.cases = cases


def make_decorator(generate):
    """Makes a class decorator.

    Args:
        generate (callable): Takes a class; yields for each class to be made of it the name, a dictionary of its members
            and a function that wraps a test method.

    Returns:
        callable: The decorator of a class, or of the bundle that another one of these has made.
    """

    def decorate(target):
        if isinstance(target, Bundle):
            bases = target.cases
            for base in bases:
                delattr(sys.modules[base.module_name], base.class_name)
        else:
            bases = [_Case(target, target.__module__, target.__name__)]
        return Bundle(
            [_make_class(base, name, members, wrap) for base in bases for name, members, wrap in generate(base.klass)]
        )

    return decorate


def _make_class(base, name, members, wrap):
    for test in dir(base.klass):
        method = getattr(base.klass, test)
        if test.startswith('test_') and test not in members and callable(method):
            members[test] = wrap(method)
    klass = type(name, (base.klass,), {'__module__': base.module_name, **members})
    setattr(sys.modules[base.module_name], name, klass)
    return _Case(klass, base.module_name, name)
