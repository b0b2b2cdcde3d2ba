"""The CUDA kernels against what NumPy computes: all dtypes, odd shapes, NaN."""

import contextlib

import cuda_on_cpu
import ml_dtypes
import numpy as np
import pytest

import chainlite
from chainlite import functions as F
from chainlite.backends.cpu import (
    batch_normalization,
    conv,
    embed_id,
    group_normalization,
    indexing,
    pooling,
    roi,
    softmax,
)
from chainlite.backends.cpu import local_response_normalization as lrn
from chainlite.backends.gpu import conv as gpu_conv
from chainlite.backends.gpu import gpu

DTYPES = ['e', ml_dtypes.bfloat16, 'f', 'd']
ROUNDING = {'e': 2**-10, 'E': 2**-7, 'f': 2**-20, 'd': 2**-48}


@pytest.fixture(params=DTYPES, ids=['float16', 'bfloat16', 'float32', 'float64'])
def dtype(request):
    return np.dtype(request.param)


def values(shape, dtype, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


@pytest.fixture
def agree(cupy):
    """Runs a kernel's implementations for the GPU, and compares them with the reference, run by NumPy in float64."""

    def check(kernel, *arguments, rounding=None):
        on_gpu = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
        takers = [run for backend, guard, run in kernel.implementations if backend is gpu and guard(*on_gpu)]
        assert takers
        wide = [a.astype('d') if isinstance(a, np.ndarray) and a.dtype.kind in 'fV' else a for a in arguments]
        expected = kernel.reference(*wide)
        results = [run(*on_gpu) for run in takers]
        for actual in results:
            compare(actual, expected, rounding or ROUNDING[arguments[0].dtype.char])
        return results[0]

    def compare(actual, expected, tolerance):
        single = not isinstance(expected, tuple)
        for got, want in zip([actual] if single else actual, [expected] if single else expected):
            if want is None:
                assert got is None
                continue
            got = cupy.asnumpy(got)
            assert got.shape == want.shape
            if want.dtype.kind == 'f':
                assert got.dtype.kind in 'fV'
                np.testing.assert_allclose(got.astype('d'), want, rtol=tolerance, atol=tolerance)
            else:
                np.testing.assert_array_equal(got, want)

    return check


def assert_equal_in_all_orders(run):
    """Reruns give the same bits; on the stand-in also with the threads in other orders."""
    first = [a.tobytes() for a in run()]
    for order in cuda_on_cpu.ORDERS if cuda_on_cpu.enabled() else [None] * 2:
        with cuda_on_cpu.thread_order(order) if order else contextlib.nullcontext():
            assert [a.tobytes() for a in run()] == first


# ---- pooling --------------------------------------------------------------------------------------------------------

WINDOWS = [  # dims, ksize, stride, pad, outs
    ((7,), (3,), (2,), (1,), (4,)),
    ((5,), (4,), (3,), (3,), (4,)),
    ((6, 5), (3, 2), (2, 1), (1, 0), (3, 4)),
    ((5, 7), (3, 3), (2, 3), (0, 2), (3, 4)),  # cover_all: the last windows reach beyond
    ((6, 6), (2, 2), (3, 3), (0, 0), (2, 2)),  # elements that no window sees
    ((9, 9), (17, 17), (4, 4), (8, 8), (3, 3)),  # places that do not fit a byte
    ((3, 4, 5), (2, 3, 2), (1, 2, 2), (1, 1, 0), (4, 2, 2)),
]
ids = [f'{dims}-{ksize}' for dims, ksize, *_ in WINDOWS]


@pytest.fixture(params=WINDOWS, ids=ids)
def window(request):
    return request.param


def test_max_pool_agrees(agree, dtype, window):
    dims, *sizes, outs = window
    x = values((2, 3, *dims), dtype)
    agree(pooling.max_pool, x, *sizes, outs, True)
    agree(pooling.max_pool, x, *sizes, outs, False)


def channels_last(cupy, a):
    return cupy.moveaxis(cupy.ascontiguousarray(cupy.moveaxis(a, 1, -1)), -1, 1)


def test_pooling_of_channels_last_arrays_is_the_same_and_stays_so(cupy, window):
    dims, *sizes, outs = window
    x, gy = cupy.asarray(values((2, 3, *dims), 'f')), cupy.asarray(values((2, 3, *outs), 'f', 1))
    x_last, gy_last = [channels_last(cupy, a) for a in (x, gy)]
    y, places = pooling.max_pool(x, *sizes, outs, True)
    y_last, places_last = pooling.max_pool(x_last, *sizes, outs, True)
    pairs = [
        (y_last, y),
        (places_last, places),
        (pooling.max_pick(x_last, places_last, *sizes), pooling.max_pick(x, places, *sizes)),
        (pooling.max_spread(gy, places_last, *sizes, dims), pooling.max_spread(gy, places, *sizes, dims)),
        *[(pooling.average_pool(x_last, *sizes, outs, c), pooling.average_pool(x, *sizes, outs, c)) for c in (0, 1)],
        *[
            (pooling.average_spread(gy_last, *sizes, dims, c), pooling.average_spread(gy, *sizes, dims, c))
            for c in (0, 1)
        ],
    ]
    for actual, expected in pairs:
        assert cupy.moveaxis(actual, 1, -1).flags.c_contiguous
        np.testing.assert_array_equal(actual.get(), expected.get())


def test_max_pool_takes_the_first_of_equals(agree, window):
    dims, *sizes, outs = window
    x = np.random.RandomState(1).randint(0, 2, (2, 3, *dims)).astype('f')
    agree(pooling.max_pool, x, *sizes, outs, True)


def test_max_pool_takes_the_first_nan_and_infinities(agree, window, dtype):
    dims, *sizes, outs = window
    x = values((2, 3, *dims), dtype)
    flat = x.reshape(-1)
    flat[::7], flat[1::9] = np.nan, np.inf
    agree(pooling.max_pool, x, *sizes, outs, True)


def test_max_pool_of_padding_alone_is_minus_infinity(agree):
    agree(pooling.max_pool, values((1, 1, 2), 'f'), (2,), (1,), (3,), (7,), True)


def test_max_pool_ignores_padding_beside_minus_infinity(cupy):
    x = cupy.full((1, 1, 3), -np.inf, 'f')
    _, places = pooling.max_pool(x, (3,), (1,), (1,), (3,), True)
    assert places.get().tolist() == [[[1, 0, 0]]]


@pytest.mark.parametrize('kind', ['B', 'i', 'q'])
def test_max_pick_and_spread_agree(agree, dtype, window, kind):
    dims, ksize, *sizes, outs = window
    if kind == 'B' and np.prod(ksize) > 256:
        kind = 'i'
    places = np.random.RandomState(0).randint(0, np.prod(ksize), (2, 3, *outs)).astype(kind)
    agree(pooling.max_pick, values((2, 3, *dims), dtype), places, ksize, *sizes)
    agree(pooling.max_spread, values((2, 3, *outs), dtype), places, ksize, *sizes, dims)


@pytest.mark.filterwarnings('ignore:(invalid value|divide by zero):RuntimeWarning')  # NumPy, in padding alone
@pytest.mark.parametrize('counted', [False, True])
def test_average_pool_and_spread_agree(agree, dtype, window, counted):
    dims, *sizes, outs = window
    agree(pooling.average_pool, values((2, 3, *dims), dtype), *sizes, outs, counted)
    agree(pooling.average_spread, values((2, 3, *outs), dtype), *sizes, dims, counted)


def test_window_sums_agree(agree, dtype, window):
    dims, *sizes, outs = window
    agree(pooling.window_sum, values((2, 3, *dims), dtype), *sizes, outs, rounding=2 * ROUNDING[dtype.char])
    agree(pooling.window_spread, values((2, 3, *outs), dtype), *sizes, dims, rounding=2 * ROUNDING[dtype.char])


def test_pooling_takes_any_strides_and_no_elements(cupy, agree):
    x = values((5, 3, 2), 'f').T
    agree(pooling.average_pool, x, (2,), (1,), (0,), (4,), False)
    empty = cupy.empty((0, 3, 5), 'f')
    y, places = pooling.max_pool(empty, (2,), (1,), (0,), (4,), True)
    assert y.shape == places.shape == (0, 3, 4)
    assert pooling.average_spread(y, (2,), (1,), (0,), (5,), False).shape == (0, 3, 5)


# ---- batch normalization --------------------------------------------------------------------------------------------

AXES = [  # shape, axis
    ((5, 3, 7), (0, 2)),
    ((3, 5, 4, 8), (0, 2, 3)),  # packs of 16 bytes
    ((2, 2, 50, 48), (0, 2, 3)),  # several parts of a channel
    ((37, 5), (0,)),
    ((1100, 33), (0,)),  # several parts, channels side by side
    ((1100, 40), (0,)),  # packs of them
    ((4, 3, 2, 3), (0,)),
    ((4, 3, 2, 3), (0, 2)),  # channels that are not neighbours
    ((2, 3, 5), (0, 1)),
    ((2, 3, 5), (0, 1, 2)),
]


@pytest.fixture(params=AXES, ids=str)
def normalized(request, dtype):
    """x away from zero, the axes, and a maker of arrays of the shape of the channels."""
    shape, axis = request.param
    keys = [n for i, n in enumerate(shape) if i not in axis]
    return values(shape, dtype) * dtype.type(2) + dtype.type(3), axis, lambda seed, dtype: values(keys, dtype, seed)


@pytest.mark.parametrize('mixed', [False, True])
def test_batch_normalization_agrees(agree, normalized, dtype, mixed):
    x, axis, per_channel = normalized
    of_gamma = np.dtype('f') if mixed else dtype
    wide = 4 * ROUNDING[dtype.char]
    gamma, beta = per_channel(1, of_gamma), per_channel(2, of_gamma)
    y, mean, var = agree(batch_normalization.batch_normalize, x, gamma, beta, axis, 2e-5, rounding=4 * wide)
    assert y.dtype == dtype and mean.dtype == var.dtype == np.result_type(dtype, of_gamma, 'f')
    agree(batch_normalization.moments, x, axis, rounding=wide)
    statistics = per_channel(3, mean.dtype), np.asarray(abs(per_channel(4, mean.dtype)) + mean.dtype.type(0.5))
    agree(batch_normalization.normalize, x, gamma, beta, *statistics, axis, rounding=4 * wide)
    gy = values(x.shape, dtype, 5)
    for fixed in False, True:
        results = agree(batch_normalization.normalize_grad, gy, x, gamma, *statistics, axis, fixed, rounding=16 * wide)
        assert results[0].dtype == dtype and results[1].dtype == results[2].dtype == mean.dtype


def test_normalization_with_what_comes_next_agrees(agree, normalized, dtype, cupy):
    x, axis, per_channel = normalized
    wide = np.result_type(dtype, 'f')
    numbers = np.stack([per_channel(seed, wide) for seed in range(6)])
    numbers[2] = abs(numbers[2]) + wide.type(0.5)
    rounding, h, gy = 16 * ROUNDING[dtype.char], values(x.shape, dtype, 4), values(x.shape, dtype, 5)
    for more, rectify in (None, False), (None, True), (h, True):
        row = x, numbers, axis, more, rectify, True, True
        y, _ = agree(batch_normalization.normalize_then, *row, rounding=rounding)
    for fixed, with_masked in (False, False), (True, False), (False, True):
        row = gy, cupy.asnumpy(y), None, x, per_channel(1, dtype), numbers, axis, fixed, with_masked
        agree(batch_normalization.rectified_normalize_grad, *row, rounding=4 * rounding)


@pytest.mark.parametrize('shape', [(3, 5, 7), (2, 40, 9, 8), (2, 3, 2, 3, 2)])
def test_normalization_of_channels_last_arrays_is_the_same_and_stays_so(cupy, shape, dtype):
    axis, tolerance = (0, *range(2, len(shape))), 16 * ROUNDING[dtype.char]
    x, gy, h = [cupy.asarray(values(shape, dtype, seed)) for seed in range(3)]
    gamma, mean, inv_std = [cupy.asarray(abs(values(shape[1:2], dtype, seed)) + dtype.type(1)) for seed in range(3)]
    numbers = batch_normalization.fixed_statistics(gamma, gamma, mean, inv_std, 1e-3, dtype)

    def results(x, gy, h):
        y, mean, var = batch_normalization.batch_normalize(x, gamma, gamma, axis, 1e-3)
        yield from (y, mean, var)
        yield from batch_normalization.moments(x, axis)
        yield from batch_normalization.batch_statistics(x, gamma, gamma, axis, 1e-3, (None, None), 0.9)
        yield batch_normalization.normalize(x, gamma, gamma, mean, inv_std, axis)
        rectified, _ = batch_normalization.normalize_then(x, numbers, axis, h, True, True, True)
        yield rectified
        yield from batch_normalization.normalize_grad(gy, x, gamma, mean, inv_std, axis, False)
        row = gy, rectified, None, x, gamma, numbers, axis, False, True
        yield from batch_normalization.rectified_normalize_grad(*row)

    last = [channels_last(cupy, a) for a in (x, gy, h)]
    for actual, expected in zip(results(*last), results(x, gy, h), strict=True):
        assert actual.ndim == 1 or actual.strides == last[0].strides
        actual, expected = [cupy.asnumpy(a).astype('d') for a in (actual, expected)]
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('mixed', [False, True])
def test_statistics_of_batches_agree(agree, cupy, normalized, dtype, mixed):
    x, axis, per_channel = normalized
    of_gamma = np.dtype('f') if mixed else dtype
    gamma, beta, *running = [per_channel(seed, of_gamma) for seed in range(4)]
    (run,) = [run for kind, guard, run in batch_normalization.batch_statistics.implementations if kind is gpu]
    for _ in range(2):  # the counters are as they were
        moved = [cupy.asarray(a) for a in running]
        results = run(cupy.asarray(x), *map(cupy.asarray, (gamma, beta)), axis, 2e-5, moved, 0.9)
        expected_moved = [a.astype('d') for a in running]
        arguments = [a.astype('d') for a in (x, gamma, beta)]
        expected = batch_normalization.batch_statistics.reference(*arguments, axis, 2e-5, expected_moved, 0.9)
        for actual, wanted in zip((results, *moved), (expected, *expected_moved), strict=True):
            tolerance = 8 * ROUNDING[of_gamma.char if actual.dtype == of_gamma else dtype.char]
            np.testing.assert_allclose(cupy.asnumpy(actual).astype('d'), wanted, rtol=tolerance, atol=tolerance)
    results = run(cupy.asarray(x), *map(cupy.asarray, (gamma, beta)), axis, 2e-5, (None, moved[1]), 0.5)
    assert len(results) == 6
    agree(batch_normalization.fixed_statistics, gamma, beta, running[0], np.asarray(abs(running[1])), 1e-3, dtype)


def test_moments_do_not_cancel(agree):
    agree(batch_normalization.moments, values((64, 3, 9), 'f') + np.float32(3000), (0, 2), rounding=1e-4)


def test_batch_normalization_is_equal_in_reruns(cupy):
    x, gamma = cupy.asarray(values((2, 2, 50, 48), 'f')), cupy.ones(2, 'f')
    first, second = [batch_normalization.batch_normalize(x, gamma, gamma, (0, 2, 3), 1e-5) for _ in range(2)]
    assert all([a.tobytes() == b.tobytes() for a, b in zip(first, second)])


def test_batch_normalization_takes_any_strides(agree):
    x = values((6, 4, 3, 10), 'f').T[:, 1:]
    gamma = values((2, 4), 'f').T[::2, 0]
    agree(batch_normalization.batch_normalize, x, gamma, gamma, (0, 2, 3), 1e-5, rounding=1e-4)
    agree(batch_normalization.normalize_grad, x, x, gamma, gamma, gamma, (0, 2, 3), False, rounding=1e-4)


@pytest.mark.parametrize('order', [(0, 1, 2, 3), (0, 3, 1, 2)], ids=['C', 'last'])
def test_batch_normalization_takes_arrays_at_any_address(cupy, order):
    """The results are those for copies, bit by bit."""
    numbers, axis = cupy.asarray(values((2, 2 * 3 * 5 * 8 + 1), 'f')), (0, 2, 3)
    shape = (2, 8, 3, 5) if order[1] == 1 else (2, 3, 5, 8)
    x, gy = [row[1:].reshape(shape).transpose(order) for row in numbers]
    assert x.shape == (2, 8, 3, 5) and x.data.ptr % 16
    gamma, mean, inv_std = cupy.asarray(values((3, 8), 'f'))
    ours = [batch_normalization.batch_normalize, batch_normalization.normalize_grad]
    for kernel, rest in zip(ours, [(gamma, mean, axis, 1e-5), (gy, gamma, mean, inv_std, axis, False)]):
        copies = [a.copy(order='K') if isinstance(a, cupy.ndarray) else a for a in rest]
        found, expected = kernel(x, *rest), kernel(x.copy(order='K'), *copies)
        assert [a.tobytes() for a in found] == [a.tobytes() for a in expected]
        assert found[0].strides == x.strides


def test_nan_spoils_its_channel_alone(cupy):
    x = values((4, 3, 5), 'f')
    x[1, 2, 3] = np.nan
    gamma = cupy.ones(3, 'f')
    y, mean, var = batch_normalization.batch_normalize(cupy.asarray(x), gamma, gamma, (0, 2), 1e-5)
    assert cupy.isnan(y).all(axis=(0, 2)).tolist() == [False, False, True]
    assert cupy.isnan(y).any(axis=(0, 2)).tolist() == cupy.isnan(mean).tolist() == cupy.isnan(var).tolist()


# ---- group and layer normalization ----------------------------------------------------------------------------------

GROUPS = [  # shape, groups
    ((3, 5), 1),
    ((9, 48), 1),  # packs of 16 bytes
    ((2, 1030), 1),
    ((300, 8), 1),  # several parts of the rows
    ((2, 4100), 1),  # a block to a row
    ((2, 6, 5, 3), 3),
    ((2, 8, 4, 4), 2),
    ((2, 4, 9, 65), 2),
    ((5, 8), 4),
    ((1, 2, 70, 64), 1),
]


@pytest.fixture(params=GROUPS, ids=str)
def grouped(request, dtype):
    """x away from zero, the number of groups, and a maker of arrays of the shape of the channels."""
    shape, groups = request.param
    x = values(shape, dtype) * dtype.type(2) + dtype.type(3)
    return x, groups, lambda seed, dtype: values(shape[1:2], dtype, seed)


@pytest.mark.parametrize('mixed', [False, True])
def test_group_normalization_agrees(agree, grouped, dtype, mixed):
    x, groups, per_channel = grouped
    of_gamma = np.dtype('f') if mixed else dtype
    wide = 16 * max(ROUNDING[dtype.char], ROUNDING[of_gamma.char])
    gamma, beta = per_channel(1, of_gamma), per_channel(2, of_gamma)
    y, mean, inv_std = agree(group_normalization.group_normalize, x, gamma, beta, groups, 2e-5, rounding=wide)
    assert y.dtype == dtype and mean.dtype == inv_std.dtype == np.result_type(dtype, of_gamma, 'f')
    statistics = values(mean.shape, mean.dtype, 3), np.abs(values(mean.shape, mean.dtype, 4)) + mean.dtype.type(0.5)
    gy = values(x.shape, dtype, 5)
    rounding = 16 * wide
    results = agree(group_normalization.group_normalize_grad, gy, x, gamma, *statistics, groups, rounding=rounding)
    assert results[0].dtype == dtype and results[1].dtype == results[2].dtype == of_gamma


def test_group_normalization_does_not_cancel(agree):
    x = values((6, 4, 9), 'f') + np.float32(3000)
    agree(group_normalization.group_normalize, x, np.ones(4, 'f'), np.zeros(4, 'f'), 2, 1e-5, rounding=2e-3)


@pytest.mark.parametrize('shape, groups', [((70, 64), 1), ((1, 2, 70, 64), 1), ((3, 6, 35), 3)])
def test_group_normalization_is_equal_in_reruns(cupy, shape, groups):
    x, gamma = cupy.asarray(values(shape, 'f')), cupy.asarray(values(shape[1:2], 'f'))

    def run():
        y, mean, inv_std = group_normalization.group_normalize(x, gamma, gamma, groups, 1e-5)
        return y, mean, inv_std, *group_normalization.group_normalize_grad(y, x, gamma, mean, inv_std, groups)

    assert_equal_in_all_orders(run)


def test_group_normalization_takes_scales_at_any_address(cupy):
    x, scales = cupy.asarray(values((3, 16), 'e')), cupy.asarray(values((2, 17), 'f'))
    whole = group_normalization.group_normalize(x, *scales[:, 1:].copy(), 1, 1e-5)
    assert scales[0, 1:].data.ptr % 16
    parts = group_normalization.group_normalize(x, scales[0, 1:], scales[1, 1:], 1, 1e-5)
    assert [a.tobytes() for a in whole] == [a.tobytes() for a in parts]


def test_group_normalization_takes_any_strides(agree):
    x, gamma = values((6, 4, 3, 10), 'f').T[:, 1:], values((2, 4), 'f').T[::2, 0]
    agree(group_normalization.group_normalize, x, gamma, gamma, 2, 1e-5, rounding=1e-4)
    statistics = values((40,), 'f')[::2], values((40,), 'f')[1::2]
    agree(group_normalization.group_normalize_grad, x, x[::-1], gamma, *statistics, 2, rounding=1e-4)


@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')
@pytest.mark.parametrize('bad', [np.nan, np.inf])
@pytest.mark.parametrize('length', [8, 5, 5000])
def test_nan_and_infinity_spoil_their_row_alone(cupy, bad, length):
    x, gamma = cupy.asarray(values((3, length), 'f')), cupy.ones(length, 'f')
    x[1, 3] = bad
    y, mean, inv_std = group_normalization.group_normalize(x, gamma, gamma, 1, 1e-5)
    assert cupy.isnan(y).all(axis=1).tolist() == cupy.isnan(y).any(axis=1).tolist() == [False, True, False]
    gx, *_ = group_normalization.group_normalize_grad(x, x, gamma, mean, inv_std, 1)
    assert cupy.isnan(gx).all(axis=1).tolist() == cupy.isnan(gx).any(axis=1).tolist() == [False, True, False]


# ---- local response normalization -----------------------------------------------------------------------------------

NEIGHBOURS = [  # shape, n, k, alpha, beta
    ((2, 7, 3, 5), 5, 2, 0.1, 0.75),
    ((2, 7, 4, 4), 5, 1, 0.3, 0.75),  # packs of 16 bytes
    ((3, 4), 3, 1, 0.5, 0.6),
    ((2, 3, 8), 9, 2, 0.1, 1.5),  # more neighbours than channels
    ((1, 1, 5), 1, 0.5, 2, 0.75),
]


def both_normalizations(x, gy, *numbers):
    y, kept = lrn.normalize(x, *numbers)
    return y, lrn.normalize_grad(gy, x, kept, *numbers)


@pytest.mark.parametrize('shape, n, k, alpha, beta', NEIGHBOURS, ids=str)
def test_local_response_normalization_agrees(cupy, dtype, shape, n, k, alpha, beta):
    x, gy = values(shape, dtype), values(shape, dtype, 1)
    expected = both_normalizations(x.astype('d'), gy.astype('d'), n, k, alpha, beta)
    for of_x, of_gy in ((cupy.asarray(x), cupy.asarray(gy)), (cupy.asarray(x.T).T, cupy.asarray(gy.T).T)):
        for got, want in zip(both_normalizations(of_x, of_gy, n, k, alpha, beta), expected):
            assert got.dtype == dtype
            tolerance = 8 * ROUNDING[dtype.char]
            np.testing.assert_allclose(got.get().astype('d'), want, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')
@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_nan_and_infinity_spoil_their_neighbours_alone(cupy, bad):
    x = values((1, 9, 4), 'f')
    x[0, 2, 1] = bad
    expected = both_normalizations(x, np.ones_like(x), 5, 2, 0.1, 0.75)
    actual = both_normalizations(cupy.asarray(x), cupy.ones_like(x), 5, 2, 0.1, 0.75)
    for got, want in zip(actual, expected):
        assert np.isnan(want).any()
        np.testing.assert_allclose(got.get(), want, rtol=1e-5)


# ---- rows of a table ------------------------------------------------------------------------------------------------

TABLES = [(7, 5, (4, 3)), (20, 16, (300,)), (1, 3, (70,)), (3, 8, (2, 64)), (50, 1, (1,))]  # v, d, numbers


@pytest.mark.parametrize('kind', ['b', 'h', 'i', 'q'])
@pytest.mark.parametrize('ignored', [None, -1, 0])
@pytest.mark.parametrize('v, d, shape', TABLES, ids=str)
def test_rows_of_a_table_agree(agree, dtype, v, d, shape, ignored, kind):
    x = np.random.RandomState(0).randint(0, v, shape).astype(kind)
    x.reshape(-1)[::5] = -1 if ignored is None else ignored
    agree(embed_id.take_rows, values((v, d), dtype), x, ignored)
    agree(embed_id.add_rows, values((*shape, d), dtype), x, (v, d), dtype, ignored, rounding=9 * ROUNDING[dtype.char])


def test_rows_of_a_table_take_any_strides_and_no_elements(cupy, agree):
    x = np.arange(12).reshape(3, 4).T[::2] % 5
    agree(embed_id.take_rows, values((6, 5), 'f').T, x, None)
    agree(embed_id.add_rows, values((6, 3, 2), 'f').T, x, (5, 6), np.dtype('f'), None)
    empty = cupy.empty((0,), 'i')
    assert embed_id.take_rows(cupy.ones((3, 2), 'f'), empty, None).shape == (0, 2)
    assert not embed_id.add_rows(cupy.ones((0, 2), 'f'), empty, (3, 2), np.dtype('f'), None).any()


def test_a_sum_of_rows_has_one_order_and_keeps_nan_in_its_row(cupy):
    x, gy = cupy.asarray(np.random.RandomState(0).randint(0, 3, 500)), cupy.asarray(values((500, 6), 'f'))
    assert_equal_in_all_orders(lambda: [embed_id.add_rows(gy, x, (3, 6), gy.dtype, None)])
    gy[(x == 1).argmax()] = np.nan
    gW = embed_id.add_rows(gy, x, (3, 6), gy.dtype, None)
    assert cupy.isnan(gW).all(axis=1).tolist() == cupy.isnan(gW).any(axis=1).tolist() == [False, True, False]


# ---- softmax --------------------------------------------------------------------------------------------------------


@pytest.fixture(
    params=[((3, 5), 1), ((70, 3), -1), ((2, 1030), 1), ((2, 5, 3, 13), 1), ((9, 2), 0), ((7,), 0)], ids=str
)
def columns(request):
    return request.param


@pytest.mark.parametrize('name', ['softmax', 'log_softmax'])
def test_softmax_agrees(agree, columns, dtype, name):
    shape, axis = columns
    wide = 8 * ROUNDING[dtype.char]
    x = values(shape, dtype) * dtype.type(4)
    agree(getattr(softmax, name), x, axis, rounding=wide)
    y = getattr(softmax, name).reference(x, axis)
    agree(getattr(softmax, f'{name}_grad'), y, values(shape, dtype, 1), axis, rounding=16 * wide)


@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')
@pytest.mark.parametrize('name', ['softmax', 'log_softmax'])
@pytest.mark.parametrize('extreme', [np.nan, np.inf, -np.inf, 3e38, -3e38])
@pytest.mark.parametrize('length', [3, 600])
def test_softmax_of_extremes_agrees(agree, name, extreme, length):
    x = values((4, length), 'f')
    x[0, 1], x[1, :2], x[2, :-1], x[3] = [extreme] * 4
    x[3, 0] = -np.inf
    agree(getattr(softmax, name), x, 1)
    agree(getattr(softmax, name), np.ascontiguousarray(x.T), 0)
    agree(getattr(softmax, name), np.full((2, 3), extreme, 'f'), 1)


@pytest.mark.filterwarnings('ignore:divide by zero:RuntimeWarning')
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('ignored', [None, -1, 2])
@pytest.mark.parametrize('kind', ['i', 'q', 'b'])
@pytest.mark.parametrize('shape', [(6, 5), (33, 130), (4, 3, 2, 5)], ids=str)
def test_cross_entropy_agrees(agree, dtype, shape, kind, ignored, weighted):
    random = np.random.RandomState(0)
    t = random.randint(0, 3, (shape[0], *shape[2:])).astype(kind)
    if ignored is not None:
        t.reshape(-1)[::3] = ignored
    wide = 16 * ROUNDING[dtype.char]
    of_log = np.result_type(dtype, 'f')
    weight = random.rand(shape[1]).astype(of_log) if weighted else None
    x = values(shape, dtype)
    _, log_y = agree(softmax.cross_entropy, x, t, weight, ignored, rounding=wide)
    assert log_y.dtype == of_log
    for gloss in np.asarray(0.3, dtype), values(t.shape, dtype, 2):
        agree(softmax.cross_entropy_grad, gloss, log_y.get(), t, weight, ignored, rounding=wide)


@pytest.mark.parametrize('kind', ['i', 'q'])
@pytest.mark.parametrize('shape', [(1,), (6, 3), (2000,)], ids=str)
def test_mean_losses_agree(agree, cupy, dtype, shape, kind):
    loss, t = abs(values(shape, dtype)), np.random.RandomState(0).randint(-1, 3, shape).astype(kind)
    for ignored in -1, 0, 7:
        mean, scale = agree(softmax.mean_loss, loss, t, ignored, None, rounding=4 * ROUNDING[dtype.char])
        assert mean.dtype == dtype and scale.dtype == np.result_type(dtype, 'f')
    every = np.full(shape, 7, kind)
    assert agree(softmax.mean_loss, loss, every, 7, None, rounding=64 * ROUNDING[dtype.char])[1] == 1
    mean, scale = softmax.mean_loss(cupy.asarray(loss), cupy.asarray(t), None, 0)
    assert scale == 1.0
    mean, scale = softmax.mean_loss(cupy.asarray(loss), cupy.asarray(t), None, 8)
    assert scale == 1 / 8
    np.testing.assert_allclose(float(mean), loss.astype('d').sum() / 8, rtol=4 * ROUNDING[dtype.char])


def test_an_ignored_label_has_no_gradient_even_beside_nan(cupy):
    x, t = cupy.asarray([[np.nan, 0], [1, 2]], 'f'), cupy.asarray([-1, 1], 'i')
    loss, log_y = softmax.cross_entropy(x, t, None, -1)
    assert loss[0] == 0 and np.isfinite(loss[1])
    gx = softmax.cross_entropy_grad(cupy.ones(2, 'f'), log_y, t, None, -1)
    assert gx[0].tolist() == [0, 0] and cupy.isfinite(gx).all()


def test_a_label_without_a_class_gives_nan(cupy):
    x, t = cupy.zeros((3, 2), 'f'), cupy.asarray([2, -7, 1], 'i')
    loss, log_y = softmax.cross_entropy(x, t, None, -1)
    assert cupy.isnan(loss).tolist() == [True, True, False]
    gx = softmax.cross_entropy_grad(cupy.ones(3, 'f'), log_y, t, None, -1)
    assert cupy.isnan(gx).any(axis=1).tolist() == [True, True, False]


# ---- convolution ----------------------------------------------------------------------------------------------------

CONVOLUTIONS = [  # n, c, m, groups; dims, ksize, stride, pad, dilate, outs
    ((3, 4, 6, 1), (7,), (3,), (2,), (1,), (1,), (4,)),
    ((2, 3, 5, 1), (6, 5), (3, 2), (2, 1), (1, 0), (1, 2), (3, 3)),
    ((2, 3, 4, 1), (5, 4), (1, 1), (1, 1), (0, 0), (1, 1), (5, 4)),  # pointwise
    ((2, 3, 4, 1), (5, 4), (1, 1), (2, 2), (0, 0), (1, 1), (3, 2)),
    ((3, 4, 6, 2), (5, 6), (2, 3), (2, 1), (1, 2), (2, 1), (3, 8)),
    ((1, 4, 2, 2), (3, 3), (1, 1), (1, 1), (0, 0), (1, 1), (3, 3)),
    ((2, 5, 10, 5), (6, 6), (3, 3), (1, 1), (1, 1), (1, 1), (6, 6)),  # depthwise
    ((2, 2, 1, 1), (5, 5), (5, 5), (1, 1), (0, 0), (1, 1), (1, 1)),  # one window
    ((2, 2, 3, 1), (3, 4, 5), (2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 2), (4, 2, 2)),
    ((2, 4, 4, 2), (3, 4, 5), (2, 2, 2), (1, 2, 2), (1, 1, 0), (1, 1, 1), (4, 3, 2)),
]


@pytest.fixture(params=CONVOLUTIONS, ids=str)
def convolution(request, dtype):
    """x, W, y, b; the rest of the arguments; dims, ksize, outs."""
    (n, c, m, groups), dims, ksize, stride, pad, dilate, outs = request.param
    shapes = (n, c, *dims), (m, c // groups, *ksize), (n, m, *outs), (m,), (c,)
    return [values(s, dtype, i) for i, s in enumerate(shapes)], (stride, pad, dilate, groups), dims, ksize, outs


@pytest.mark.parametrize('workspace', [1, 1 << 20])
def test_convolution_agrees(agree, convolution, dtype, workspace, monkeypatch):
    monkeypatch.setattr(gpu_conv, 'WORKSPACE', workspace)
    (x, W, y, b, b_of_x), geometry, dims, ksize, outs = convolution
    wide = 16 * ROUNDING[dtype.char]
    result = np.dtype('d') if dtype.char == 'd' else np.dtype('f')
    for bias in None, b:
        agree(conv.convolve, x, W, bias, *geometry, outs, result, rounding=wide)
    for bias in None, b_of_x:
        agree(conv.deconvolve, y, W, bias, *geometry, dims, result, rounding=wide)
    agree(conv.filter_grad, x, y, ksize, *geometry, result, rounding=wide)


def test_convolution_of_two_dtypes_and_any_strides_agrees(agree):
    x, W, y = values((7, 6, 4, 3), 'f').T[:, ::2], values((5, 2, 2, 3), 'e')[..., ::-1], values((3, 5, 5, 5), 'd')
    geometry = (1, 1), (0, 1), (1, 1), 1
    result = np.dtype('f')
    agree(conv.convolve, x, W, None, *geometry, (5, 5), result, rounding=1e-4)
    agree(conv.deconvolve, y, W, None, *geometry, (6, 7), result, rounding=1e-4)
    agree(conv.filter_grad, x, y, (2, 4), *geometry, result, rounding=1e-4)


# ---- the transpose of indexing --------------------------------------------------------------------------------------

INDICES = [  # shape, index
    ((5, 3), (np.array([0, 4, 0, -1]),)),
    ((5, 3), (np.array([[0, 4, 0], [2, 2, -5]]),)),
    ((4, 5), (slice(None), np.array([1, 1, 0]))),
    ((4, 5), (np.array([1, 3, 1]), np.array([2, 0, 2]))),
    ((4, 5), (np.array([True, False, True, True]),)),
    ((2, 3, 4), (1, None, np.array([2, 2]), slice(1, None))),
]


@pytest.mark.parametrize('shape, index', INDICES, ids=str)
def test_add_at_agrees(cupy, dtype, shape, index):
    y = values(np.zeros(shape)[index].shape, dtype)
    expected = indexing.add_at.reference(y.astype('d'), index, shape)
    on_gpu = tuple(cupy.asarray(i) if isinstance(i, np.ndarray) else i for i in index)
    assert_equal_in_all_orders(lambda: [indexing.add_at(cupy.asarray(y), on_gpu, shape)])
    x = indexing.add_at(cupy.asarray(y), on_gpu, shape)
    tolerance = 4 * ROUNDING[dtype.char]
    assert x.dtype == dtype
    np.testing.assert_allclose(x.get().astype('d'), expected, rtol=tolerance, atol=tolerance)


# ---- regions of interest --------------------------------------------------------------------------------------------

REGIONS = np.array([[1, 1, 6, 6], [2, 6, 8, 7], [-2, -1, 12, 9], [30, 30, 40, 40], [0.3, 0.2, 0.9, 0.8]])
IMAGES = np.array([0, 1, 1, 0, 1], np.int32)
INSIDE = [0, 1, 2, 4]


@pytest.mark.parametrize('ratios', [(0, 0), (2, 3)])
def test_maxima_of_regions_agree(agree, cupy, dtype, ratios):
    boxes, images = REGIONS.copy(), IMAGES[INSIDE]
    boxes[:, 2:] = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    x = values((2, 3, 9, 7), dtype)
    agree(roi.maxima, x, images, boxes[INSIDE].astype('i'), 3, 2)
    # Sixteenths, so that float32 interpolates as float64 does and equals are equal.
    boxes = (np.round(boxes * 16) / 16).astype(np.result_type(dtype, 'f'))
    for outs in (2, 2), (4, 1):
        positions, weights = roi.align_maxima.reference(x, IMAGES, boxes, ratios, *outs)
        arguments = [cupy.asarray(a) for a in (x, IMAGES, boxes)]
        of_gpu, on_gpu = [a.get() for a in roi.align_maxima(*arguments, ratios, *outs)]
        np.testing.assert_allclose(on_gpu, weights, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(of_gpu[weights != 0], positions[weights != 0])
    outside = cupy.asarray(boxes[3:4].astype('i'))
    assert not roi.maxima(cupy.asarray(x), cupy.asarray([0]), outside, 3, 2)[1].any()


def test_averages_of_regions_agree(agree, dtype):
    wide = np.result_type(dtype, 'f')
    first, size = REGIONS[:, 0].astype(wide), np.maximum(REGIONS[:, 2] - REGIONS[:, 0], 1).astype(wide)
    for ratio in 0, 2:
        weights = agree(roi.sample_weights, first, size, 3, ratio, 9, rounding=8 * ROUNDING[wide.char])
    rows, columns = weights.get(), roi.cell_weights(first.astype('i'), size.astype('i'), 2, 7, wide)
    rounding = 8 * ROUNDING[dtype.char]
    agree(roi.average, values((2, 4, 9, 7), dtype), IMAGES, rows, columns, rounding=rounding)
    agree(roi.average_grad, values((5, 4, 3, 2), dtype), (2, 4, 9, 7), IMAGES, rows, columns, rounding=rounding)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_maxima_of_regions_take_the_first_nan_and_infinity(agree, bad):
    x = values((2, 2, 9, 7), 'f')
    x[:, :, ::2, 1::3] = bad
    boxes = np.array([[0, 0, 9, 7], [1, 1, 5, 5], [3, 0, 2, 2], [7, 5, 9, 9], [0, 1, 1, 1]], 'i')
    agree(roi.maxima, x, IMAGES, boxes, 2, 3)


def test_pooling_of_regions_has_one_order(cupy):
    x = chainlite.Variable(cupy.asarray(values((2, 3, 9, 7), 'f')))
    rois, images = cupy.asarray(REGIONS.astype('f')), cupy.asarray(IMAGES)

    def run():
        x.cleargrad()
        ys = [
            F.roi_average_align_2d(x, rois, images, 3, 0.9, 2),
            F.roi_average_pooling_2d(x, rois, images, 3, 0.9),
            F.roi_max_align_2d(x, rois[:3], images[:3], 3, 0.9, 2),
            F.roi_max_pooling_2d(x, rois[:3], images[:3], 3, 0.9),
        ]
        sum([F.sum(y * y) for y in ys]).backward()
        return [x.grad, *[y.array for y in ys]]

    assert_equal_in_all_orders(run)


# ---- races ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not cuda_on_cpu.enabled(), reason='the race detector is the stand-in')
@pytest.mark.parametrize('shape, groups', [((70, 8), 1), ((1, 4100), 1), ((2, 4, 9, 65), 2)])
def test_normalization_of_long_rows_and_many_has_no_races(cupy, checked_kernels, shape, groups):
    x, gamma = cupy.asarray(values(shape, 'f')), cupy.asarray(values(shape[1:2], 'f'))
    y, mean, inv_std = group_normalization.group_normalize(x, gamma, gamma, groups, 1e-5)
    group_normalization.group_normalize_grad(y, x, gamma, mean, inv_std, groups)


@pytest.mark.skipif(not cuda_on_cpu.enabled(), reason='the race detector is the stand-in')
def test_sums_of_many_rows_have_no_races(cupy, checked_kernels):
    x, gy = cupy.asarray(np.random.RandomState(0).randint(0, 3, 200)), cupy.asarray(values((200, 6), 'f'))
    embed_id.add_rows(gy, x, (3, 6), gy.dtype, None)
