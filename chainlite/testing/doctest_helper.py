"""Conditions under which examples in documents are skipped, for Sphinx' ``:skipif:``."""

import os

from chainlite.testing.helper import _satisfied

_gpu_limit = int(os.getenv('CHAINER_TEST_GPU_LIMIT', '-1'))


def skipif(condition):
    """Returns the condition."""
    return condition


def skipif_requires_satisfied(*requirements):
    """Whether the packages, such as ``'numpy>=2'``, are installed."""
    return _satisfied(requirements)


def skipif_not_enough_cuda_devices(device_count):
    """Whether the variable CHAINER_TEST_GPU_LIMIT permits fewer GPUs."""
    return 0 <= _gpu_limit < device_count
