import pytest

from chainlite.backends.onednn import _library


@pytest.fixture(scope='session')
def library():
    """The library; a test that needs it fails where there should be one, and is skipped elsewhere."""
    if _library.library() is None:
        pytest.skip(_library.unavailable_because())
    return _library.library()
