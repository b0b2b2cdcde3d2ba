"""Batch normalization of C-contiguous arrays: against NumPy in float64, and that nothing is converted."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite import Variable
from chainlite.backends import _layout
from chainlite.backends._layout import is_last, to_last
from chainlite.backends.cpu import batch_normalization as bn
from chainlite.backends.onednn import _by_channel
from chainlite.backends.onednn import contiguous_batch_normalization as contiguous

pytestmark = [pytest.mark.usefixtures('library'), pytest.mark.host('oneDNN is of the CPU')]
SHAPES = [(3, 5, 12, 11), (9, 5, 3, 4), (8, 33, 5), (2, 3, 4, 6, 7), (11, 1, 2, 5), (1, 4, 1024, 2)]


@pytest.fixture(params=[1 << 9, 1 << 19], ids=['many blocks', 'one block'])
def block(request, monkeypatch):
    monkeypatch.setattr(_by_channel, 'BLOCK', request.param)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = chainlite.get_num_threads()
    chainlite.set_num_threads(request.param)
    yield
    chainlite.set_num_threads(before)


class Sample:
    """Arrays of a shape; x is far from 0, or at `mean`."""

    def __init__(self, shape, seed=0, mean=30):
        rng = np.random.default_rng(seed)
        self.x, self.gy, self.h = rng.standard_normal((3, *shape)).astype('f')
        self.x += mean
        self.gamma, self.beta = rng.random((2, shape[1])).astype('f') + 0.5
        self.axis = 0, *range(2, len(shape))
        self.numbers = bn.batch_statistics.reference(
            self.x.astype('d'), self.gamma, self.beta, self.axis, 2e-5, (None, None), 0.9
        ).astype('f')


def implementation(kernel):
    (function,) = [f for _, _, f in kernel.implementations if f.__module__ == contiguous.__name__]
    return function


def assert_close(actual, expected, tolerance=2e-5):
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == np.float32 and a.flags.c_contiguous
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance * max(1, abs(e).max()))


@pytest.mark.parametrize('mean', [30, 1])
@pytest.mark.parametrize('shape', SHAPES)
def test_it_normalizes(shape, mean, block, threads):
    s = Sample(shape, mean=mean)
    wide = [a.astype('d') for a in (s.x, s.gamma, s.beta)]
    expected = bn.batch_normalize.reference(*wide, s.axis, 2e-5)
    assert_close(implementation(bn.batch_normalize)(s.x, s.gamma, s.beta, s.axis, 2e-5), expected)
    assert_close(implementation(bn.moments)(s.x, s.axis), expected[1:], 3e-6)
    numbers = s.numbers[0], s.numbers[2]
    y = bn.normalize.reference(s.x, s.gamma, s.beta, *numbers, s.axis)
    np.testing.assert_array_equal(implementation(bn.normalize)(s.x, s.gamma, s.beta, *numbers, s.axis), y)


@pytest.mark.parametrize('more, rectify', [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize('shape', SHAPES)
def test_it_adds_and_rectifies_as_numpy_does(shape, more, rectify, block):
    s = Sample(shape)
    s.x[0, 0].flat[1] = np.nan
    for h in [s.h, to_last(s.h)] if more else [None]:
        expected = bn.normalize_then.reference(s.x, s.numbers, s.axis, h, rectify, True, True)
        y, kept = implementation(bn.normalize_then)(s.x, s.numbers, s.axis, h, rectify, True, True)
        np.testing.assert_array_equal(y, expected[0])
        assert kept is None and y.flags.c_contiguous


@pytest.mark.parametrize('mean', [30, 1])
@pytest.mark.parametrize('fixed', [False, True], ids=['batch', 'fixed'])
@pytest.mark.parametrize('shape', SHAPES)
def test_gradients(shape, fixed, mean, block, threads):
    s = Sample(shape, mean=mean)
    mean, inv_std = s.numbers[0], s.numbers[2]
    for gy, y in [(s.gy, np.maximum(s.h, 0)), (to_last(s.gy), to_last(np.maximum(s.h, 0)))]:
        wide = [a.astype('d') for a in (s.gy, s.x, s.gamma, mean, inv_std)]
        expected = bn.normalize_grad.reference(*wide, s.axis, fixed)
        assert_close(implementation(bn.normalize_grad)(gy, s.x, s.gamma, mean, inv_std, s.axis, fixed), expected)
        masked = np.where(y > 0, s.gy, 0)
        wide[0] = masked.astype('d')
        expected = bn.normalize_grad.reference(*wide, s.axis, fixed)
        for with_masked in (False, True):
            arguments = gy, y, None, s.x, s.gamma, s.numbers, s.axis, fixed, with_masked
            *gradients, kept = implementation(bn.rectified_normalize_grad)(*arguments)
            assert_close(gradients, expected)
            assert kept is None or np.testing.assert_array_equal(kept, masked) is None


@pytest.mark.parametrize('mean', [1000, 3, 1])
@pytest.mark.parametrize('pixels', [1 << 17, 70001])
def test_statistics_of_many_pixels_are_exact(pixels, mean, threads):
    x = np.random.default_rng(0).standard_normal((1, 3, pixels)).astype('f') + np.float32(mean)
    expected = bn.moments.reference(x.astype('d'), (0, 2))
    for actual, e in zip(implementation(bn.moments)(x, (0, 2)), expected):
        np.testing.assert_allclose(actual, e, rtol=2e-6)


def test_arrays_of_the_user_are_not_converted(monkeypatch):
    def fail(x):
        raise AssertionError('converted')

    for kernel in (_layout.to_last, _layout.from_last):
        monkeypatch.setattr(kernel, '_by_type', {np.ndarray: [(0, None, lambda x: True, fail)]})
    s = Sample((4, 3, 12, 12))
    x, gamma, beta = map(Variable, (s.x, s.gamma, s.beta))
    y = F.relu(F.batch_normalization(x, gamma, beta))
    y.grad = s.gy
    y.backward()
    assert y._hidden is None or not is_last(y._hidden)
    assert not is_last(x.grad_var._hidden if x.grad_var._array is None else x.grad)


@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')  # infinity from infinity, as NumPy has it
@pytest.mark.parametrize('value', [np.nan, np.inf])
@pytest.mark.parametrize('shape', [SHAPES[0], SHAPES[1], SHAPES[2]])
def test_what_is_not_finite_stays_in_its_channel(shape, value, block):
    s = Sample(shape)
    x = s.x.copy()
    x[1, 2] = value
    results = [implementation(bn.batch_normalize)(a, s.gamma, s.beta, s.axis, 2e-5) for a in (x, s.x)]
    numbers = s.numbers[0], s.numbers[2]
    results += [implementation(bn.normalize_grad)(s.gy, a, s.gamma, *numbers, s.axis, False) for a in (x, s.x)]
    for touched, clean in [*zip(*results[:2]), *zip(*results[2:])]:
        axis = 1 if touched.ndim > 1 else 0
        assert not np.isfinite(touched.take(2, axis)).all() or touched is results[2][2]
        np.testing.assert_array_equal(np.delete(touched, 2, axis), np.delete(clean, 2, axis))
