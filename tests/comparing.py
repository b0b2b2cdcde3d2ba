"""NumPy's assertions for arrays of any device."""

import numpy as np

from chainlite.backends import cuda


def host(a):
    """An array of any device on the host; anything else as it is."""
    return a.get() if isinstance(a, cuda.ndarray) else a


def assert_array_equal(x, y, *args, **kwargs):
    """Every element is the same."""
    __tracebackhide__ = True
    np.testing.assert_array_equal(host(x), host(y), *args, **kwargs)


def assert_allclose(x, y, *args, **kwargs):
    """With NumPy's tolerances, which are narrower than those of `chainlite.testing`."""
    __tracebackhide__ = True
    np.testing.assert_allclose(host(x), host(y), *args, **kwargs)
