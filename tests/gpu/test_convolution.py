"""Convolutions on the GPU: layouts, sizes that are no multiples of tiles, strides, dilation, groups."""

import cuda_on_cpu
import ml_dtypes
import numpy as np
import pytest

from chainlite.backends._layout import is_last, roll, unroll
from chainlite.backends.cpu import conv
from chainlite.backends.gpu import conv as columns
from chainlite.backends.gpu import conv_depthwise, conv_implicit, gpu
from chainlite.configuration import using_config

E, B, F, D = np.dtype('e'), np.dtype(ml_dtypes.bfloat16), np.dtype('f'), np.dtype('d')
ROUNDING = {E: 2**-10, B: 2**-7, F: 2**-20, D: 2**-46}
CASES = {  # n, c, m, groups; dims, ksize, stride, pad, dilate, outs
    '8 channels': ((3, 8, 24, 1), (7, 6), (3, 3), (1, 1), (1, 1), (1, 1), (7, 6)),
    'more than a tile': ((3, 72, 136, 1), (9, 10), (3, 3), (1, 1), (1, 1), (1, 1), (9, 10)),
    'stride': ((2, 64, 72, 1), (9, 8), (3, 3), (2, 2), (1, 1), (1, 1), (5, 4)),
    'stride beyond the filter': ((2, 8, 8, 1), (8, 9), (1, 2), (2, 3), (0, 0), (1, 1), (4, 3)),
    'stride and dilation': ((1, 24, 8, 1), (11, 12), (3, 2), (2, 4), (2, 1), (2, 3), (6, 3)),
    'stride and dilation with a common divisor': ((1, 8, 16, 1), (11, 12), (3, 3), (4, 2), (3, 2), (2, 2), (4, 6)),
    'window outside': ((1, 8, 8, 1), (2, 3), (3, 3), (1, 1), (4, 3), (1, 1), (8, 7)),
    'cover all': ((2, 8, 8, 1), (6, 6), (3, 3), (2, 2), (0, 0), (1, 1), (3, 3)),
    'three channels': ((2, 3, 64, 1), (13, 12), (7, 7), (2, 2), (3, 3), (1, 1), (7, 6)),
    'one channel': ((5, 1, 6, 1), (9, 9), (5, 5), (1, 1), (0, 0), (1, 1), (5, 5)),
    'odd channels': ((2, 13, 5, 1), (6, 5), (3, 2), (1, 1), (1, 0), (1, 1), (6, 4)),
    'few pixels': ((1, 64, 8, 1), (1, 1), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1)),
    'groups of 8': ((2, 16, 32, 2), (5, 6), (2, 3), (2, 1), (1, 2), (2, 1), (3, 8)),
    'groups of 4': ((2, 12, 36, 3), (6, 5), (3, 3), (1, 2), (1, 1), (1, 1), (6, 3)),
    'odd groups': ((2, 6, 4, 2), (5, 5), (3, 3), (1, 1), (1, 1), (1, 1), (5, 5)),
    'pointwise': ((2, 24, 40, 1), (5, 4), (1, 1), (1, 1), (0, 0), (1, 1), (5, 4)),
    'pointwise with a stride': ((2, 24, 40, 1), (5, 4), (1, 1), (2, 2), (0, 0), (1, 1), (3, 2)),
    'pointwise groups': ((2, 16, 8, 2), (5, 4), (1, 1), (1, 1), (0, 0), (1, 1), (5, 4)),
    'one axis': ((2, 8, 24, 1), (17,), (3,), (2,), (1,), (2,), (7,)),
    'three axes': ((2, 8, 8, 1), (4, 5, 6), (2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 2), (5, 3, 2)),
}
DEPTHWISE = {
    'depthwise': ((2, 24, 24, 24), (7, 6), (3, 3), (1, 1), (1, 1), (1, 1), (7, 6)),
    'depthwise with a stride': ((3, 40, 40, 40), (9, 11), (5, 4), (2, 3), (2, 1), (1, 1), (5, 4)),
    'depthwise, dilated': ((2, 5, 5, 5), (9, 11), (3, 2), (1, 2), (2, 1), (2, 3), (9, 5)),
    'depthwise, several filters': ((2, 6, 18, 6), (5, 6), (3, 3), (1, 2), (1, 1), (1, 1), (5, 3)),
    'depthwise, four filters': ((2, 8, 32, 8), (5, 6), (2, 3), (2, 1), (1, 1), (1, 1), (3, 6)),
    'depthwise, one axis': ((2, 8, 8, 8), (700,), (4,), (1,), (3,), (1,), (703,)),
    'depthwise, three axes': ((2, 4, 4, 4), (4, 5, 6), (2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 2), (5, 3, 2)),
    'depthwise, cover all': ((2, 8, 8, 8), (6, 6), (3, 3), (2, 2), (0, 0), (1, 1), (3, 3)),
}
LAYOUTS = {'C': lambda x: x, 'last': lambda x: x if x.ndim < 3 else unroll(np.ascontiguousarray(roll(x)))}


@pytest.fixture(autouse=True)
def fresh_plans():
    """Plans hold what some of these tests change."""
    caches = conv_implicit._plan, conv_implicit._filter_plan
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def values(shape, dtype, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


def arrays(case, dtype, layout='C'):
    """x, W, y, the biases of y and of x; stride, pad, dilate, groups."""
    (n, c, m, groups), dims, ksize, *geometry, outs = case
    shapes = (n, c, *dims), (m, c // groups, *ksize), (n, m, *outs), (m,), (c,)
    return [LAYOUTS[layout](values(s, dtype, i)) for i, s in enumerate(shapes)], (*geometry, groups)


def put(x):
    """On the device, with the same strides."""
    import cupy

    return unroll(cupy.asarray(roll(x))) if isinstance(x, np.ndarray) and is_last(x) else cupy.asarray(x)


def calls(case, dtype, layout='C', result=None):
    """Kernels and arguments: convolution, its transpose (both with a bias and without), gradient of the filter."""
    (x, W, y, b, b_of_x), geometry = arrays(case, dtype, layout)
    result = result or dtype
    for bias in None, b:
        yield conv.convolve, (x, W, bias, *geometry, y.shape[2:], result)
    for bias in None, b_of_x:
        yield conv.deconvolve, (y, W, bias, *geometry, x.shape[2:], result)
    yield conv.filter_grad, (x, y, W.shape[2:], *geometry, result)


def implementation(kernel, *arguments):
    return next(run for backend, guard, run in kernel.implementations if backend is gpu and guard(*arguments))


def check(kernel, *arguments, module=None, tolerance=None):
    """Compares a kernel on the GPU with its reference, computed in float64."""
    on_gpu = [put(a) if isinstance(a, np.ndarray) else a for a in arguments]
    run = implementation(kernel, *on_gpu)
    assert module is None or run.__module__ == module.__name__
    actual = run(*on_gpu)
    wide = [a.astype('d') if isinstance(a, np.ndarray) else a for a in arguments]
    expected = kernel.reference(*wide[:-1], np.dtype('d'))
    assert actual.dtype == arguments[-1] and actual.shape == expected.shape
    if kernel is not conv.filter_grad:
        assert (roll(actual) if is_last(on_gpu[0]) else actual).flags.c_contiguous
    size = max(1.0, abs(expected).max())
    rounding = tolerance or ROUNDING[arguments[0].dtype]
    np.testing.assert_allclose(actual.get().astype('d'), expected, rtol=rounding, atol=rounding * size)
    return actual


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('case', CASES.values(), ids=CASES)
def test_float16_agrees_with_float64(cupy, case, layout):
    for kernel, arguments in calls(case, E, layout):
        check(kernel, *arguments)


@pytest.mark.parametrize('dtype', [B, F, D], ids=str)
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', ['8 channels', 'groups of 8', 'pointwise', 'one axis'])
def test_other_dtypes_agree_with_float64(cupy, dtype, name, layout):
    for kernel, arguments in calls((CASES | DEPTHWISE)[name], dtype, layout):
        check(kernel, *arguments)


IMPLICIT = ['8 channels', 'more than a tile', 'stride', 'three channels', 'odd channels', 'groups of 4', 'three axes']


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', IMPLICIT)
def test_tensor_cores_are_used(cupy, name, layout):
    for kernel, arguments in list(calls((CASES | DEPTHWISE)[name], E, layout))[::2]:
        check(kernel, *arguments, module=conv_implicit)


@pytest.mark.parametrize('tile', [(128, 128), (128, 64), (64, 64), (128, 32)], ids=str)
def test_every_tile_agrees(cupy, tile, monkeypatch):
    monkeypatch.setattr(conv_implicit, '_tile', lambda *args: tile)
    for layout in LAYOUTS:
        for kernel, arguments in list(calls(CASES['more than a tile'], E, layout))[1:4:2]:
            check(kernel, *arguments)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_results_of_another_dtype_agree(cupy, layout):
    for result in F, D:
        for kernel, arguments in list(calls(CASES['8 channels'], E, layout, result))[::2]:
            check(kernel, *arguments)


@pytest.mark.parametrize('tile', [(128, 128), (128, 64), (64, 128), (64, 64)], ids=str)
@pytest.mark.parametrize('length', [1, 2, 100])
def test_every_tile_and_split_of_filter_gradients_agrees(cupy, tile, length, monkeypatch):
    monkeypatch.setattr(conv_implicit, '_split', lambda *args: (*tile, length))
    *_, (kernel, arguments) = calls(CASES['more than a tile'], E, 'last')
    check(kernel, *arguments)


@pytest.fixture
def tf32():
    with using_config('compute_mode', 'tf32'):
        yield


def rounded(x):
    """To the 10 bits of TF32, halves away from zero."""
    return ((x.view('i') + 0x1000) & ~0x1FFF).view('f') if isinstance(x, np.ndarray) else x


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', ['stride', 'odd channels'])
def test_tf32_rounds_the_factors_alone(cupy, name, layout, tf32):
    for kernel, arguments in calls(CASES[name], F, layout):
        on_gpu = [put(a) if isinstance(a, np.ndarray) else a for a in arguments]
        run = implementation(kernel, *on_gpu)
        assert run.__module__ == conv_implicit.__name__
        wide = [rounded(a).astype('d') if isinstance(a, np.ndarray) and a.ndim > 1 else a for a in arguments]
        expected = kernel.reference(*wide[:-1], D)
        np.testing.assert_allclose(run(*on_gpu).get(), expected, rtol=1e-5, atol=1e-5 * max(1, abs(expected).max()))


def test_tf32_keeps_what_is_not_finite(cupy, tf32):
    x = values((1, 4, 7, 7), F)
    x[0, 1, 3, 3], x[0, 2, 3, 3] = np.nan, np.inf
    y = conv.convolve(put(x), cupy.ones((4, 4, 3, 3), 'f'), None, (1, 1), (0, 0), (1, 1), 1, (5, 5), F).get()
    assert np.isnan(y[..., 1:4, 1:4]).all() and np.isfinite(y[..., 0, :]).all()


@pytest.mark.parametrize('tile', [(128, 128), (128, 64), (64, 64), (128, 32)], ids=str)
def test_every_tile_agrees_in_float32(cupy, tile, monkeypatch):
    monkeypatch.setattr(conv_implicit, '_tile', lambda *args: tile)
    for kernel, arguments in list(calls(CASES['more than a tile'], F, 'last'))[1:4:2]:
        if tile in ((64, 64), (128, 32)):
            check(kernel, *arguments, module=conv_implicit)
        with using_config('compute_mode', 'tf32'):
            check(kernel, *map(rounded, arguments), module=conv_implicit, tolerance=1e-5)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', ['8 channels', 'stride and dilation', 'odd channels', 'groups of 4'])
def test_float32_is_not_rounded_unless_asked_for(cupy, name, layout):
    with using_config('compute_mode', 'cudnn_fast'):
        for kernel, arguments in calls(CASES[name], F, layout):
            check(kernel, *arguments, module=conv_implicit)


def test_long_sums_of_float32_are_rounded_not_cut_off(cupy):
    """Tensor cores cut off: with numbers of one sign, the errors of their sums would add up."""
    x, W = [abs(values(shape, F, i)) for i, shape in enumerate([(1, 256, 5, 5), (8, 256, 3, 3)])]
    geometry = (1, 1), (1, 1), (1, 1), 1
    y = check(conv.convolve, x, W, None, *geometry, (5, 5), F, module=conv_implicit, tolerance=2**-20).get()
    exact = conv.convolve.reference(x.astype('d'), W.astype('d'), None, *geometry, (5, 5), D)
    assert abs((y / exact - 1).mean()) < 2**-23


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', ['stride', 'groups of 8', 'three axes'])
def test_devices_without_these_instructions_use_columns(cupy, name, layout, monkeypatch):
    monkeypatch.setattr(conv_implicit, '_device', lambda number: (75, 40))
    for kernel, arguments in calls(CASES[name], E, layout):
        check(kernel, *arguments, module=columns)


def test_tensor_cores_can_be_left_alone(cupy):
    with using_config('use_cudnn_tensor_core', 'never'):
        for kernel, arguments in calls(CASES['stride'], E, 'last'):
            check(kernel, *arguments, module=columns)


def test_float32_uses_tensor_cores_where_they_are_fast(cupy, monkeypatch):
    *_, (kernel, arguments) = calls(CASES['8 channels'], F)
    for capability, mode, module in (80, None, conv_implicit), (86, None, columns), (86, 'tf32', conv_implicit):
        monkeypatch.setattr(conv_implicit, '_device', lambda number, found=capability: (found, 40))
        with using_config('compute_mode', mode):
            check(kernel, *arguments, module=module, tolerance=1e-2)


def test_parts_of_many_images_agree(cupy, monkeypatch):
    monkeypatch.setattr(conv_implicit, 'MOST', 2 * 24 * 7 * 6 + 1)
    for layout in LAYOUTS:
        for kernel, arguments in calls(CASES['8 channels'], E, layout):
            check(kernel, *arguments)


def test_any_strides_and_addresses_agree(cupy):
    """Also views that do not begin at a multiple of 16 bytes."""
    (x, W, y, b, b_of_x), geometry = arrays(CASES['8 channels'], E)

    def strided(a):
        wide = cupy.full((*a.shape, 2), 7, a.dtype, order='F')
        wide[..., 1] = cupy.asarray(a)
        return wide[..., 1]

    def shifted(a):
        buffer = cupy.full(a.size + 1, 7, a.dtype)
        rolled = np.ascontiguousarray(roll(a))
        buffer[1:] = cupy.asarray(rolled.reshape(-1))
        return unroll(buffer[1:].reshape(rolled.shape))

    for move in strided, shifted:
        for kernel, arguments in calls(CASES['8 channels'], E):
            moved = [move(a) if isinstance(a, np.ndarray) and a.ndim > 2 else a for a in arguments]
            moved = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in moved]
            actual = implementation(kernel, *moved)(*moved).get().astype('d')
            wide = [a.astype('d') if isinstance(a, np.ndarray) else a for a in arguments]
            np.testing.assert_allclose(actual, kernel.reference(*wide), rtol=2e-3, atol=5e-2)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('case', DEPTHWISE.values(), ids=DEPTHWISE)
def test_depthwise_convolutions_agree_with_float64(cupy, case, layout):
    for kernel, arguments in calls(case, E, layout):
        check(kernel, *arguments, module=conv_depthwise)


@pytest.mark.parametrize('dtype', [B, F, D], ids=str)
@pytest.mark.parametrize('layout', LAYOUTS)
def test_depthwise_convolutions_of_other_dtypes_agree(cupy, dtype, layout):
    for kernel, arguments in calls(DEPTHWISE['depthwise with a stride'], dtype, layout):
        check(kernel, *arguments, module=conv_depthwise)


def test_no_images_or_no_filters_give_empty_arrays(cupy):
    geometry = (1, 1), (1, 1), (1, 1), 1
    W = cupy.ones((8, 8, 3, 3), 'e')
    assert conv.convolve(cupy.empty((0, 8, 4, 4), 'e'), W, None, *geometry, (4, 4), E).shape == (0, 8, 4, 4)
    assert conv.deconvolve(cupy.empty((0, 8, 4, 4), 'e'), W, None, *geometry, (4, 4), E).shape == (0, 8, 4, 4)
    gW = conv.filter_grad(cupy.empty((0, 8, 4, 4), 'e'), cupy.empty((0, 8, 4, 4), 'e'), (3, 3), *geometry, E)
    assert gW.shape == (8, 8, 3, 3) and not gW.any()


def test_nan_stays_in_its_windows(cupy):
    x = values((1, 8, 9, 9), E)
    x[0, 3, 4, 4] = np.nan
    y = conv.convolve(put(x), put(values((8, 8, 3, 3), E)), None, (1, 1), (1, 1), (1, 1), 1, (9, 9), E).get()
    spoiled = np.zeros((9, 9), bool)
    spoiled[3:6, 3:6] = True
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(spoiled, y.shape))


REPRESENTATIVE = ['stride', 'three channels', 'odd channels', 'groups of 4', 'depthwise with a stride']


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', REPRESENTATIVE)
def test_every_order_of_threads_gives_the_same_bits(cupy, name, layout):
    if not cuda_on_cpu.enabled():
        pytest.skip('a GPU has its own order of threads')
    for kernel, arguments in calls((CASES | DEPTHWISE)[name], E, layout):
        on_gpu = [put(a) if isinstance(a, np.ndarray) else a for a in arguments]
        results = []
        for order in cuda_on_cpu.ORDERS:
            with cuda_on_cpu.thread_order(order):
                results.append(kernel(*on_gpu).tobytes())
        assert len(set(results)) == 1


@pytest.mark.skipif(not cuda_on_cpu.enabled(), reason='the race detector is part of the stand-in')
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', ['8 channels', *REPRESENTATIVE])
def test_convolutions_have_no_races(cupy, checked_kernels, name, layout):
    for kernel, arguments in calls((CASES | DEPTHWISE)[name], E, layout):
        check(kernel, *arguments)
