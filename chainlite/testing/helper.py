"""Small helpers of tests: required packages, warnings, patches."""

import contextlib
import importlib
import importlib.metadata
import unittest
import warnings
from unittest import mock


def with_requires(*requirements):
    """Decorator that skips a test or test class unless the packages are installed.

    Args:
        requirements (str): Such as ``'numpy>=1.26'``.
    """
    return unittest.skipUnless(_satisfied(requirements), f'requires: {",".join(requirements)}')


def without_requires(*requirements):
    """Decorator that skips a test or test class if the packages are installed."""
    return unittest.skipIf(_satisfied(requirements), f'requires: {",".join(requirements)}')


def _satisfied(requirements):
    return all(_is_installed(requirement) for requirement in requirements)


def _is_installed(requirement):
    try:
        from packaging.requirements import Requirement
    except ImportError:
        raise RuntimeError('packaging is needed to compare versions: pip install packaging') from None
    parsed = Requirement(requirement)
    try:
        return parsed.specifier.contains(importlib.metadata.version(parsed.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


@contextlib.contextmanager
def assert_warns(expected):
    """Context in which a warning of the class ``expected`` must be given; warnings are not shown."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        yield
    if not any(isinstance(w.message, expected) for w in caught):
        raise AssertionError(f'{expected.__name__} not triggerred')


def patch(target, *args, **kwargs):
    """``unittest.mock.patch`` whose mock calls through to what it replaces, unless told otherwise.

    Args:
        target (str): Full name of what to replace.
    """
    kwargs.setdefault('wraps', _import_object_from_name(target))
    return mock.patch(target, *args, **kwargs)


def _import_object_from_name(fullname):
    parts = fullname.split('.')
    for n in range(len(parts) - 1, 0, -1):
        try:
            obj = importlib.import_module('.'.join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for name in parts[n:]:
            obj = getattr(obj, name)
        return obj
    raise ImportError(f'{fullname} is not the name of anything that can be imported')
