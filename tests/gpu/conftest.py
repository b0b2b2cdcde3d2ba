"""What the tests of the GPU have in common."""

import pytest

from chainlite.backends import cuda


@pytest.fixture(scope='session')
def cupy():
    """CuPy with a device; where there is none, the test is skipped."""
    if not cuda.available:
        pytest.skip('there is no GPU, nor the stand-in for one (CHAINLITE_CUDA_ON_CPU=1)')
    return cuda.cupy
