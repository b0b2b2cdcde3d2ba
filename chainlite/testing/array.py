"""Comparing and making arrays."""

from chainlite import backend
from chainlite.gradient_check import assert_allclose

__all__ = ['assert_allclose']


def renewed_error(kind, text, cause):
    """Makes an error of the class ``kind`` with a text before that of ``cause``; the cause itself if that fails."""
    try:
        return kind(f'{text}\n\n(caused by)\n{type(cause).__name__}: {cause}\n')
    except TypeError:
        return cause


def _as_noncontiguous_array(array):
    """A copy of an array, or of those in a list or tuple, that is neither C- nor F-contiguous if its shape permits."""
    if isinstance(array, (list, tuple)):
        return type(array)([_as_noncontiguous_array(a) for a in array])
    if array is None or array.size <= 1:
        return array
    xp = backend.get_array_module(array)
    with backend.get_device_from_array(array).create_context():
        spread = xp.empty([2 * n for n in array.shape], array.dtype)
        view = spread[tuple([slice(None, None, -2)] * array.ndim)]
        view[...] = array
    return view
