"""Arrays turned on the GPU."""

import numpy as np
import pytest

from chainlite.backends._layout import roll, unroll
from chainlite.backends.gpu import _transpose

SHAPES = [(1, 1, 1), (2, 3, 70), (3, 33, 31), (1, 100, 65), (2, 8, 40), (4, 5, 1), (0, 3, 4)]


@pytest.mark.parametrize('dtype', ['b', 'e', 'f', 'd'])
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_matrices_are_turned_and_filled_up(cupy, shape, dtype):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    s, rows, columns = shape
    for pitch in {None, rows + 1, -(-rows // 4) * 4, -(-rows // 8) * 8}:
        expected = np.zeros((s, columns, pitch or rows), dtype)
        expected[..., :rows] = x.swapaxes(1, 2)
        np.testing.assert_array_equal(_transpose.turned(cupy.asarray(x), shape, pitch).get(), expected)


@pytest.mark.parametrize('shape', [(2, 3, 5, 4), (2, 8, 7), (1, 1, 3, 2, 2), (3, 5, 1, 1), (2, 2, 0)], ids=str)
def test_orders_are_those_that_numpy_sees(cupy, shape):
    for x in np.empty(shape), unroll(np.empty(roll(np.empty(shape)).shape)), np.empty(shape[::-1]).T:
        found = _transpose.orders(x.shape, x.strides, x.itemsize)
        if x.size:
            assert found == (x.flags.c_contiguous, roll(x).flags.c_contiguous)
        last = _transpose.empty(shape, x.dtype, True)
        assert last.shape == shape and roll(last).flags.c_contiguous
        assert _transpose.empty(shape, x.dtype, False).flags.c_contiguous


@pytest.mark.parametrize('channels', [3, 4, 8])
def test_copies_are_channels_last_whatever_the_strides(cupy, channels):
    x = np.random.RandomState(0).rand(2, 3, 5, 4).astype('e')
    expected = np.zeros((2, 5, 4, channels), 'e')
    expected[..., :3] = roll(x)
    for y in cupy.asarray(x), unroll(cupy.asarray(roll(x))), cupy.asarray(x.T).T, cupy.asarray(x[..., ::-1])[..., ::-1]:
        np.testing.assert_array_equal(_transpose.channels_last(y, channels).get(), expected)
