"""Marks of tests that need something: a GPU, several, time. Needs pytest."""

import os
import unittest

try:
    import pytest

    _error = None
except ImportError as e:
    _error = e

_gpu_limit = int(os.getenv('CHAINER_TEST_GPU_LIMIT', '-1'))


def is_available():
    """Whether pytest is there."""
    return _error is None


def get_error():
    """The error in importing pytest, or None."""
    return _error


def check_available():
    """Raises a RuntimeError if pytest is missing."""
    if _error is not None:
        raise RuntimeError('pytest is needed to mark tests: pip install pytest')


def _mark(name, *args, **kwargs):
    check_available()
    return getattr(pytest.mark, name)(*args, **kwargs)


def cudnn(*args, **kwargs):
    """Marks a test that needs cuDNN."""
    return _mark('cudnn', *args, **kwargs)


def slow(*args, **kwargs):
    """Marks a test that takes long."""
    return _mark('slow', *args, **kwargs)


def ideep(*args, **kwargs):
    """Marks a test that needs Intel's architecture and its library."""
    return _mark('ideep', *args, **kwargs)


def chainerx(*args, **kwargs):
    """Marks a test that needs ChainerX, which does not exist here."""
    return _mark('chainerx', *args, **kwargs)


def multi_gpu(gpu_num):
    """Marks a test that needs ``gpu_num`` GPUs; skips it if the variable CHAINER_TEST_GPU_LIMIT permits fewer."""
    check_available()

    def mark(f):
        skip = unittest.skipIf(0 <= _gpu_limit < gpu_num, f'{gpu_num} GPUs required')
        return skip(pytest.mark.multi_gpu(gpu_num)(f) if gpu_num > 1 else f)

    return mark


def gpu(f):
    """Marks a test that needs a GPU."""
    check_available()
    return multi_gpu(1)(pytest.mark.gpu(f))
