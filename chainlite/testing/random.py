"""Tests whose random numbers are the same in every run."""

import functools
import random

import numpy

from chainlite.backends import cuda
from chainlite.testing import _bundle

_states = []  # what to put back, one entry per fixture entered


def do_setup(deterministic=True):
    """Seeds the generators of Python, NumPy and CuPy, by fixed numbers or by entropy.

    Args:
        deterministic (bool): Whether the numbers are the same each time.
    """
    _states.append((random.getstate(), numpy.random.get_state()))
    random.seed(99 if deterministic else None)
    numpy.random.seed(100 if deterministic else None)
    if cuda.available:
        cuda.cupy.random.seed(101 if deterministic else None)


def do_teardown():
    """Puts the generators of Python and NumPy back to where they were before :func:`do_setup`."""
    python_state, numpy_state = _states.pop()
    random.setstate(python_state)
    numpy.random.set_state(numpy_state)


def generate_seed():
    """Returns a number to seed generators with, in a test that :func:`fix_random` decorates."""
    assert _states, 'random is not set up'
    return numpy.random.randint(0xFFFFFFFF, dtype=numpy.uint32).item()


def fix_random(*, setup_method='setUp', teardown_method='tearDown'):
    """Decorator of a test class, also a parameterized one: its tests start from fixed random seeds.

    Args:
        setup_method (str): Name of the method before which the seeds are set.
        teardown_method (str): Name of the method after which the generators are put back.
    """

    def decorate(target):
        classes = [case.klass for case in target.cases] if isinstance(target, _bundle.Bundle) else [target]
        for klass in classes:
            setattr(klass, setup_method, _after(do_setup, getattr(klass, setup_method)))
            setattr(klass, teardown_method, _before(do_teardown, getattr(klass, teardown_method)))
        return target

    return decorate


def _after(first, method):
    @functools.wraps(method)
    def setup(self, *args, **kwargs):
        first()
        method(self, *args, **kwargs)

    return setup


def _before(last, method):
    @functools.wraps(method)
    def teardown(self, *args, **kwargs):
        try:
            method(self, *args, **kwargs)
        finally:
            last()

    return teardown
