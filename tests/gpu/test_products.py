"""Matrix products on the GPU: what their factors are rounded to, and what they are summed in."""

import ml_dtypes
import numpy as np
import pytest

import chainlite.functions as F
from chainlite.configuration import using_config


def values(shape, dtype='f', seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


def error(y, expected):
    return np.abs(y.array.get().astype('d') - expected).max() / np.abs(expected).max()


def whiten(projection, x):
    mean = x[0].reshape(1, -1) * 0
    return F.fixed_decorrelated_batch_normalization(x, mean, projection[None], groups=1)


def local_convolution(x, W):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    return np.einsum('ncijkl,mijckl->nmij', windows, W)


PRODUCTS = {
    'matmul': (F.matmul, (5, 70), (70, 9), lambda a, b: a @ b),
    'stacks': (lambda a, b: F.matmul(a, b, transb=True), (3, 5, 70), (3, 9, 70), lambda a, b: a @ b.swapaxes(1, 2)),
    'linear': (F.linear, (5, 70), (9, 70), lambda a, b: a @ b.T),
    'tensordot': (lambda a, b: F.tensordot(a, b, 2), (5, 7, 10), (7, 10, 9), lambda a, b: np.tensordot(a, b, 2)),
    'bilinear': (
        lambda x, W: F.bilinear(x, x[:, :1] * 0 + 1, W[:, None]),  # x (n, i), W (i, k)
        *((5, 70), (70, 9), lambda x, W: x @ W),
    ),
    'local convolution': (F.local_convolution_2d, (5, 4, 5, 4), (7, 3, 2, 4, 3, 3), local_convolution),
    'whitening': (whiten, (60, 60), (5, 60), lambda projection, x: x @ projection.T),
    'einsum': (lambda a, b: F.einsum('bij,bjk->bik', a, b), (3, 5, 70), (3, 70, 9), lambda a, b: a @ b),
}


@pytest.mark.parametrize('name', PRODUCTS)
def test_tf32_is_used_when_it_is_asked_for(cupy, name):
    function, *shapes, reference = PRODUCTS[name]
    a, b = values(shapes[0]), values(shapes[1], seed=1)
    exact = reference(a.astype('d'), b.astype('d'))
    for mode in None, 'cudnn_fast':
        with using_config('compute_mode', mode):
            assert error(function(cupy.asarray(a), cupy.asarray(b)), exact) < 2**-20
    with using_config('compute_mode', 'tf32'):
        assert 2**-16 < error(function(cupy.asarray(a), cupy.asarray(b)), exact) < 2**-9
        wide = function(cupy.asarray(a, 'd'), cupy.asarray(b, 'd'))
    assert error(wide, exact) < 2**-46


@pytest.mark.parametrize('dtype', ['e', ml_dtypes.bfloat16], ids=['float16', 'bfloat16'])
@pytest.mark.parametrize('name', PRODUCTS)
def test_16_bits_are_summed_in_32(cupy, name, dtype):
    """Ones after a large number: a 16-bit sum would not see them."""
    function, *shapes, reference = PRODUCTS[name]
    a, b = [np.ones(shape, dtype) for shape in shapes]
    a.reshape(-1)[0] = 4096
    expected = reference(a.astype('d'), b.astype('d')).astype(dtype).astype('d')
    y = function(cupy.asarray(a), cupy.asarray(b))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.array.get().astype('d'), expected)
