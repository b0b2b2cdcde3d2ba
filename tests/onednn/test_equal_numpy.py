"""Every implementation against its NumPy reference in float64, on random shapes and parameters."""

import numpy as np
import pytest

import chainlite
from chainlite.backends._layout import from_last, is_last, to_last
from chainlite.backends.cpu import batch_normalization as bn
from chainlite.backends.cpu import conv, pooling, softmax
from chainlite.backends.cpu import group_normalization as gn
from chainlite.backends.cpu import local_response_normalization as lrn
from chainlite.backends.cpu.product import product
from chainlite.backends.cpu.relu import relu_grad
from chainlite.backends.onednn import _filters, _library, _threads, folded_conv
from chainlite.backends.onednn import conv as onednn_conv
from chainlite.backends.onednn._backend import onednn
from chainlite.utils.conv import get_conv_outsize

pytestmark = [pytest.mark.usefixtures('library'), pytest.mark.host('oneDNN is of the CPU')]
F32 = np.dtype('f')


def implementation(kernel, of=onednn):
    """oneDNN's implementations alone: fails where the guards refuse."""
    rows = [(guard, function) for backend, guard, function in kernel.implementations if backend is of]

    def call(*args):
        return next(function for guard, function in rows if guard(*args))(*args)

    return call


class Random:
    """Shapes and arrays of a seed; half of the arrays (n, c, *dims) are channels last, some are in no order."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def ints(self, low, high, n):
        return tuple(map(int, self.rng.integers(low, high, n)))

    def pick(self, *values):
        return values[int(self.rng.integers(len(values)))]

    def array(self, *shape):
        x = self.rng.standard_normal(shape).astype('f')
        if len(shape) > 2:
            layout = self.pick('C', 'last', 'C', 'last', 'none')
            order = (0, *range(2, len(shape)), 1)
            if layout == 'last':
                x = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
            elif layout == 'none':
                x = np.asfortranarray(x)
        return x


def wide(*arrays):
    return [None if a is None else a.astype('d') for a in arrays]


def assert_equal(actual, expected, terms=1):
    """To float32 rounding: a sum of `terms` products is that much less exact, relative to the largest results."""
    assert actual.dtype == np.float32 and actual.shape == expected.shape
    scale = max(1.0, float(abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-7 * scale * max(4, terms**0.5))


@pytest.mark.parametrize('seed', range(150))
def test_convolutions(seed):
    r = Random(seed)
    ndim, groups = r.pick(1, 2, 2, 3), r.pick(1, 1, 2, 5)
    n, c, m = r.pick(1, 3), groups * r.pick(1, 3, 8), groups * r.pick(1, 4, 16)
    ksize, stride, pad, dilate = r.ints(1, 4, ndim), r.ints(1, 4, ndim), r.ints(0, 3, ndim), r.ints(1, 3, ndim)
    sizes = r.ints(6, 12, ndim)
    cover_all = r.pick(True, False)
    outs = tuple(get_conv_outsize(*a, cover_all, d) for *a, d in zip(sizes, ksize, stride, pad, dilate))
    window = stride, pad, dilate, groups
    x, W = r.array(n, c, *sizes), r.array(m, c // groups, *ksize)
    gy, bias, back_bias = r.array(n, m, *outs), r.pick(None, r.array(m)), r.pick(None, r.array(c))
    terms = c * m * np.prod(ksize) * np.prod(outs) * n

    y = implementation(conv.convolve)(x, W, bias, *window, outs, F32)
    x64, W64, gy64, b64, bb64 = wide(x, W, gy, bias, back_bias)
    assert_equal(y, conv.convolve.reference(x64, W64, b64, *window, outs, np.dtype('d')), terms)
    gx = implementation(conv.deconvolve)(gy, W, back_bias, *window, sizes, F32)
    assert_equal(gx, conv.deconvolve.reference(gy64, W64, bb64, *window, sizes, np.dtype('d')), terms)
    gW = implementation(conv.filter_grad)(x, gy, ksize, *window, F32)
    assert_equal(gW, conv.filter_grad.reference(x64, gy64, ksize, *window, np.dtype('d')), terms)
    assert gW.flags.c_contiguous


@pytest.fixture
def one_thread(monkeypatch):
    """Chooses as in one thread, and keeps no operation."""
    monkeypatch.setattr(onednn_conv, 'get_num_threads', lambda: 1)
    monkeypatch.setattr(_threads._thread, 'cached', _threads._make)


@pytest.mark.parametrize('seed', range(40))
def test_gradients_of_filters_by_rows(monkeypatch, one_thread, seed):
    r = Random(seed)
    rows, made, by_rows = r.pick(1, 2, 3), [], onednn_conv._ByRows
    monkeypatch.setattr(onednn_conv, '_rows', lambda x_shape, y_shape: rows)
    monkeypatch.setattr(onednn_conv, '_ByRows', lambda *args: made.append(by_rows(*args)) or made[-1])
    ndim, groups = r.pick(1, 2, 2, 3), r.pick(1, 1, 2)
    n, c, m = r.pick(1, 3), groups * r.pick(3, 16, 20), groups * r.pick(5, 32)
    ksize, stride, pad, dilate = r.ints(1, 4, ndim), r.ints(1, 3, ndim), r.ints(0, 3, ndim), r.ints(1, 3, ndim)
    sizes = r.ints(9, 14, ndim)
    cover_all = r.pick(True, False)
    outs = tuple(get_conv_outsize(*a, cover_all, d) for *a, d in zip(sizes, ksize, stride, pad, dilate))
    x, gy, window = r.array(n, c, *sizes), r.array(n, m, *outs), (ksize, stride, pad, dilate, groups)
    gW = implementation(conv.filter_grad)(x, gy, *window, F32)
    assert made or outs[0] <= rows
    assert_equal(gW, conv.filter_grad.reference(*wide(x, gy), *window, np.dtype('d')), n * np.prod(outs))


def test_gradients_of_filters_go_by_rows_where_images_are_large():
    assert onednn_conv._rows((8, 64, 224, 224), (8, 64, 224, 224)) < 10
    assert onednn_conv._rows((8, 512, 28, 28), (8, 512, 28, 28)) == 28
    assert onednn_conv._rows((128, 16, 32, 32), (128, 16, 32, 32)) == 32


@pytest.mark.parametrize('shape', [(3, 64, 5), (2, 17, 6, 7), (2, 70, 1, 4, 3)])
def test_gradients_of_filters_of_single_pixels(monkeypatch, one_thread, shape):
    r, ndim, m, calls = Random(0), len(shape) - 2, 65, []
    monkeypatch.setattr(onednn_conv, 'product', lambda a, b: calls.append(1) or product(a, b))
    x, gy = r.array(*shape), r.array(shape[0], m, *shape[2:])
    one = (1,) * ndim
    window = one, one, (0,) * ndim, one, 1
    gW = implementation(conv.filter_grad)(x, gy, *window, F32)
    assert calls and gW.flags.c_contiguous
    assert_equal(gW, conv.filter_grad.reference(*wide(x, gy), *window, np.dtype('d')), x.size)


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('ndim', [1, 2, 3])
def test_transposed_convolutions_to_few_channels(monkeypatch, ndim, seed):
    r = Random(seed)
    monkeypatch.setattr('chainlite.backends.cpu.conv.BLOCK', r.pick(1, 1 << 10, 1 << 18))
    c, stride, pad, dilate = r.pick(1, 2, 3), r.ints(1, 4, ndim), r.ints(0, 3, ndim), r.ints(1, 3, ndim)
    ksize, sizes, m = (
        r.ints(1, 4, ndim),
        r.ints(6, 9, ndim),
        _threads.get_num_threads() * onednn_conv._THIN[c] + r.pick(0, 1),
    )
    outs = tuple(get_conv_outsize(*a, False, d) for *a, d in zip(sizes, ksize, stride, pad, dilate))
    gy, W, b = r.array(3, m, *outs), r.array(m, c, *ksize), r.pick(None, r.array(c))
    window = stride, pad, dilate, 1, sizes
    called = []
    spread = onednn_conv._spread
    monkeypatch.setattr(onednn_conv, '_spread', lambda *args: called.append(1) or spread(*args))
    x = implementation(conv.deconvolve)(gy, W, b, *window, F32)
    assert called
    gy64, W64, b64 = wide(gy, W, b)
    assert_equal(x, conv.deconvolve.reference(gy64, W64, b64, *window, np.dtype('d')), m * np.prod(ksize))


@pytest.fixture
def folding(monkeypatch):
    """Folds pixels however small the images are."""
    monkeypatch.setattr(folded_conv, '_WORTH', 1)
    monkeypatch.setattr(folded_conv, '_PAYS', 100)
    folded_conv._factor.cache_clear()
    folded_conv._turns.cache_clear()
    yield folded_conv._folding
    folded_conv._factor.cache_clear()
    folded_conv._turns.cache_clear()


@pytest.mark.parametrize('seed', range(40))
def test_convolutions_to_few_channels_fold_pixels(folding, seed):
    r = Random(seed)
    ndim, n, c, m = r.pick(1, 2, 2, 3), r.pick(1, 3), r.pick(1, 3, 16), int(r.rng.integers(1, 9))
    ksize, stride = r.ints(1, 4, ndim), r.ints(1, 3, ndim)
    pad = tuple([int(r.rng.integers(0, k)) for k in ksize])
    dilate = *r.ints(1, 3, ndim - 1), 1
    outs = *r.ints(3, 5, ndim - 1), r.pick(4, 6, 8)
    sizes = tuple([(o - 1) * s + d * (k - 1) + 1 - 2 * p for o, s, d, k, p in zip(outs, stride, dilate, ksize, pad)])
    x, W, b, gy = r.array(n, c, *sizes), r.array(m, c, *ksize), r.pick(None, r.array(m)), r.array(n, m, *outs)
    window = stride, pad, dilate, 1
    y = implementation(conv.convolve, folding)(x, W, b, *window, outs, F32)
    x64, W64, b64, gy64 = wide(x, W, b, gy)
    terms = c * np.prod(ksize)
    assert_equal(y, conv.convolve.reference(x64, W64, b64, *window, outs, np.dtype('d')), terms)
    gW = implementation(conv.filter_grad, folding)(x, gy, ksize, *window, F32)
    expected = conv.filter_grad.reference(x64, gy64, ksize, *window, np.dtype('d'))
    assert_equal(gW, expected, n * np.prod(outs) * terms)
    assert gW.flags.c_contiguous
    x[(0,) * x.ndim] = r.pick(np.nan, np.inf)
    y = conv.convolve(x, W, b, *window, outs, F32)
    expected = conv.convolve.reference(x.astype('d'), W64, b64, *window, outs, np.dtype('d'))
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))


@pytest.mark.parametrize('seed', range(30))
def test_transposed_convolutions_to_few_channels_fold_pixels(folding, seed):
    r = Random(seed)
    ndim, n, c, m = r.pick(1, 2, 2, 3), r.pick(1, 3), int(r.rng.integers(1, 9)), r.pick(1, 5, 11)
    ksize, dilate, ones = r.ints(1, 4, ndim), (*r.ints(1, 3, ndim - 1), 1), (1,) * ndim
    pad = tuple([int(r.rng.integers(0, k)) for k in ksize])
    sizes = *r.ints(5, 7, ndim - 1), r.pick(4, 6, 8)
    outs = tuple([get_conv_outsize(*a, False, d) for *a, d in zip(sizes, ksize, ones, pad, dilate)])
    gy, W, b = r.array(n, m, *outs), r.array(m, c, *ksize), r.pick(None, r.array(c))
    window = ones, pad, dilate, 1, sizes
    x = implementation(conv.deconvolve, folding)(gy, W, b, *window, F32)
    gy64, W64, b64 = wide(gy, W, b)
    assert_equal(x, conv.deconvolve.reference(gy64, W64, b64, *window, np.dtype('d')), m * np.prod(ksize))


@pytest.mark.parametrize('m', range(1, 9))
@pytest.mark.parametrize('k, s', [(3, 1), (5, 2), (9, 1), (11, 3), (15, 1)])
def test_folded_convolutions_have_fast_code(m, k, s):
    def is_slow(build, f, *more):
        size = 47 * s + k
        shapes = (64, 16, size, size), (f * m, 16, k, k + s * (f - 1)), (64, f * m, 48, 48 // f)
        name = build(F32, *shapes, *more[:1], (s, s * f), (0, 0), (1, 1), 1, *more[1:]).implementation
        return 'ref' in name or 'gemm' in name

    f = folded_conv._factor(1, 64, m, 16, (k, k), (s, s), (1, 1), 1, (48, 48))
    for row in (onednn_conv._build_forward, f, False, False, False), (onednn_conv._build_backward_weights, f):
        assert not is_slow(*row) or is_slow(row[0], 1, *row[2:])


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('ndim', [1, 2, 3])
def test_long_sums_are_as_exact_as_those_of_blocks(ndim, stride):
    r = Random(ndim)
    c = {1: 1024, 2: 512, 3: 128}[ndim]
    sizes, ksize, window = (5,) * ndim, (3,) * ndim, ((stride,) * ndim, (1,) * ndim, (1,) * ndim, 1)
    outs = (5 if stride == 1 else 3,) * ndim
    x, W, gy = abs(r.array(2, c, *sizes)), r.array(c, c, *ksize), r.array(2, c, *outs)
    x64, W64, gy64 = wide(x, W, gy)
    y = implementation(conv.convolve)(x, W, None, *window, outs, F32)
    expected = conv.convolve.reference(x64, W64, None, *window, outs, np.dtype('d'))
    assert abs(y - expected).max() <= 6e-7 * abs(expected).max()
    gx = implementation(conv.deconvolve)(gy, W, None, *window, sizes, F32)
    expected = conv.deconvolve.reference(gy64, W64, None, *window, sizes, np.dtype('d'))
    assert abs(gx - expected).max() <= 6e-7 * abs(expected).max()


@pytest.mark.parametrize('kernel', [conv.convolve, conv.deconvolve])
def test_predictions_see_that_a_filter_has_changed(kernel):
    r = Random(0)
    x, W = r.array(1, 64, 6, 6), np.ascontiguousarray(r.array(64, 64, 3, 3))
    window = (1, 1), (1, 1), (1, 1), 1, (6, 6)
    before = len(_filters._kept)
    with chainlite.no_backprop_mode():
        for _ in range(3):
            y = implementation(kernel)(x, W, None, *window, F32)
            y = implementation(kernel)(x, W, None, *window, F32)
            assert_equal(y, kernel.reference(*wide(x, W), None, *window, np.dtype('d')), 576)
            W[3, 5, 1, 1] += 1
    assert len(_filters._kept) == before + 1
    del W
    assert len(_filters._kept) == before


def test_predictions_for_many_sizes_keep_a_filter_only_a_few_times():
    r = Random(0)
    W = np.ascontiguousarray(r.array(64, 64, 3, 3))
    with chainlite.no_backprop_mode():
        for size in [*range(4, 12), 4]:
            x, window = r.array(1, 64, size, size), ((1, 1), (1, 1), (1, 1), 1, (size, size))
            y = implementation(conv.convolve)(x, W, None, *window, F32)
            assert_equal(y, conv.convolve.reference(*wide(x, W), None, *window, np.dtype('d')), 576)
    assert 0 < len(_filters._kept[id(W)][1]._reordered) <= _filters._MOST


@pytest.mark.parametrize('shape', [(3, 5, 7), (2, 40, 50, 41), (1, 600, 12, 13), (2, 1024, 8, 9), (1, 3, 40, 41, 20)])
def test_layouts(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype('f')
    y = to_last(x)
    assert is_last(y)
    np.testing.assert_array_equal(y, x)
    z = from_last(y)
    assert z.flags.c_contiguous
    np.testing.assert_array_equal(z, x)


def pooling_window(r, ndim):
    """ksize, stride, pad, sizes, outs with an element in each window, as oneDNN wants it."""
    while True:
        ksize, stride, sizes = r.ints(1, 5, ndim), r.ints(1, 4, ndim), r.ints(5, 12, ndim)
        pad = tuple(int(r.rng.integers(k)) for k in ksize)
        cover_all = r.pick(True, False)
        outs = tuple(get_conv_outsize(*a, cover_all) for a in zip(sizes, ksize, stride, pad))
        if all((out - 1) * s - p < size for size, s, p, out in zip(sizes, stride, pad, outs)):
            return ksize, stride, pad, sizes, outs


@pytest.mark.parametrize('seed', range(150))
def test_pooling(monkeypatch, seed):
    r = Random(seed)
    monkeypatch.setattr('chainlite.backends.onednn.pooling._MANY', r.pick(0, 1 << 15))
    for name in ('_LARGE', '_HUGE'):  # whether C-contiguous arrays are taken as they are
        monkeypatch.setattr('chainlite.backends.onednn.pooling.' + name, r.pick(0, 1 << 22))
    ndim = r.pick(1, 2, 2, 3)
    *window, sizes, outs = pooling_window(r, ndim)
    n, c = r.pick(1, 3), r.pick(1, 3, 7, 16, 20, 33)
    x, gy = np.round(r.array(n, c, *sizes)), r.array(n, c, *outs)  # with ties
    y, places = implementation(pooling.max_pool)(x, *window, outs, True)
    expected, expected_places = pooling.max_pool.reference(x, *window, outs, True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(places, expected_places)
    y, none = implementation(pooling.max_pool)(x, *window, outs, False)
    np.testing.assert_array_equal(y, expected)
    assert none is None
    for p in (places, np.ascontiguousarray(places)):
        gx = implementation(pooling.max_spread)(gy, p, *window, sizes)
        assert_equal(gx, pooling.max_spread.reference(gy.astype('d'), expected_places, *window, sizes), 9)
    for counted in (False, True):
        y = implementation(pooling.average_pool)(x, *window, outs, counted)
        assert_equal(y, pooling.average_pool.reference(x.astype('d'), *window, outs, counted), 9)
        gx = implementation(pooling.average_spread)(gy, *window, sizes, counted)
        assert_equal(gx, pooling.average_spread.reference(gy.astype('d'), *window, sizes, counted), 9)


@pytest.mark.parametrize('ksize, outs', [((3,), (4,)), ((2, 2), (5, 3)), ((1, 4), (2, 6)), ((2, 3, 2), (2, 1, 3))])
@pytest.mark.parametrize('threads', [1, 2])
def test_gradients_of_maxima_in_tiles_of_few_channels(monkeypatch, ksize, outs, threads):
    monkeypatch.setattr('chainlite.backends.onednn.pooling._MANY', 0)
    monkeypatch.setattr('chainlite.backends.onednn.pooling.get_num_threads', lambda: threads)
    r = Random(0)
    gy, places = r.array(3, 5, *outs), r.rng.integers(0, np.prod(ksize), (3, 5, *outs)).astype(np.uint8)
    gy[0, 0] = np.inf
    window = ksize, ksize, (0,) * len(ksize), tuple(k * out for k, out in zip(ksize, outs))
    expected = pooling.max_spread.reference(gy, places, *window)
    for given in (gy, places), (to_last(gy), to_last(places)):
        np.testing.assert_array_equal(implementation(pooling.max_spread)(*given, *window), expected)


@pytest.mark.parametrize('seed', range(100))
def test_batch_normalization(seed):
    r = Random(seed)
    ndim = r.pick(0, 1, 2, 2, 3)
    shape = (r.pick(2, 9), r.pick(1, 3, 16, 20, 33, 64), *r.ints(1, 9, ndim))
    axis = (0, *range(2, ndim + 2))
    x, gy, gamma, beta = r.array(*shape), r.array(*shape), r.array(shape[1]), r.array(shape[1])
    eps = 1e-2
    results = implementation(bn.batch_normalize)(x, gamma, beta, axis, eps)
    for actual, expected in zip(results, bn.batch_normalize.reference(*wide(x, gamma, beta), axis, eps)):
        assert_equal(actual, expected, 100)
    mean, inv_std = results[1], (results[2] + np.float32(eps)) ** -0.5
    y = implementation(bn.normalize)(x, gamma, beta, mean, inv_std, axis)
    assert_equal(y, bn.normalize.reference(*wide(x, gamma, beta, mean, inv_std), axis), 100)
    for fixed in (False, True):
        actual = implementation(bn.normalize_grad)(gy, x, gamma, mean, inv_std, axis, fixed)
        expected = bn.normalize_grad.reference(*wide(gy, x, gamma, mean, inv_std), axis, fixed)
        for a, e in zip(actual, expected):
            assert_equal(a, e, 1000)


@pytest.mark.parametrize('seed', range(20))
def test_layer_normalization(seed):
    r = Random(seed)
    n, c = r.pick(1, 5, 300), r.pick(1, 7, 64, 500)
    x, gy, gamma, beta = r.array(n, c), r.array(n, c), r.array(c), r.array(c)
    if r.pick(True, False):
        x, gy = np.asfortranarray(x), gy[::-1]
    x64, gy64, gamma64, beta64 = wide(x, gy, gamma, beta)
    eps = r.pick(1e-5, 1e-2)
    results = gn.group_normalize.reference(x64, gamma64, beta64, 1, eps)
    for a, b in zip(implementation(gn.group_normalize)(x, gamma, beta, 1, eps), results):
        assert_equal(a, b, c)
    statistics = [a.astype('f') for a in results[1:]]
    gradients = implementation(gn.group_normalize_grad)(gy, x, gamma, *statistics, 1)
    for a, b in zip(gradients, gn.group_normalize_grad.reference(gy64, x64, gamma64, *results[1:], 1)):
        assert_equal(a, b, max(n, c))


@pytest.mark.parametrize('seed', range(40))
def test_softmax(seed):
    r = Random(seed)
    shape = r.pick((64, 100), (500, 40), (3, 40, 50), (2, 8, 16, 17))
    x, gy = r.rng.standard_normal((2, *shape)).astype('f')
    axis = r.pick(-1, len(shape) - 1)
    for forward, backward in (
        (softmax.softmax, softmax.softmax_grad),
        (softmax.log_softmax, softmax.log_softmax_grad),
    ):
        y = implementation(forward)(x, axis)
        assert_equal(y, forward.reference(x.astype('d'), axis), 10)
        assert_equal(implementation(backward)(y, gy, axis), backward.reference(*wide(y, gy), axis), 100)


@pytest.mark.parametrize('seed', range(60))
def test_products(seed):
    r = Random(seed)
    batch = r.pick((), (), (3,), (2, 2))
    m, k, n = r.pick(r.ints(90, 200, 3), r.ints(410, 450, 3), [r.pick(2, 5, 8, 16, 48), *r.ints(750, 900, 2)])

    def matrix(rows, columns):
        """In one of the orders that need no copy, or in one that does."""
        a = r.rng.standard_normal((*batch, rows, 2 * columns)).astype('f')
        kind = r.pick('part of a row', 'C', 'transposed', 'every other')
        if kind == 'transposed':
            return r.rng.standard_normal((*batch, columns, rows)).astype('f').swapaxes(-1, -2)
        return {'part of a row': a[..., :columns], 'C': a[..., :columns].copy(), 'every other': a[..., ::2]}[kind]

    a, b = matrix(m, k), matrix(k, n)
    assert_equal(implementation(product)(a, b), product.reference(*wide(a, b)), k)


@pytest.mark.parametrize('layout', ['C', 'last'])
def test_gradient_of_relu(layout):
    x, gy = np.random.default_rng(0).standard_normal((2, 16, 16, 64, 64)).astype('f')
    x[0, 0] = np.nan
    if layout == 'last':
        x, gy = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, gy))
    y = np.maximum(x, 0)
    gx = implementation(relu_grad)(y, gy)
    np.testing.assert_array_equal(gx, np.where(y > 0, gy, 0))
    np.testing.assert_array_equal(gx, relu_grad.reference(y, gy))
    assert gx.strides == y.strides


def test_nan_and_infinity_are_not_lost_in_the_maximum():
    x = np.zeros((1, 16, 4, 4), 'f')
    x[0, 1, 0, 0], x[0, 2], x[0, 3, 3, 3] = np.nan, -np.inf, np.inf
    y, places = pooling.max_pool(x, (2, 2), (2, 2), (0, 0), (2, 2), True)
    expected, expected_places = pooling.max_pool.reference(x, (2, 2), (2, 2), (0, 0), (2, 2), True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(places, expected_places)


@pytest.mark.parametrize('shape', [(0, 3, 5, 5), (2, 0, 5, 5), (2, 3, 0, 5)])
def test_arrays_without_elements_go_to_numpy(shape):
    x = np.zeros(shape, 'f')
    W = np.ones((4, shape[1], 1, 1), 'f')
    y = conv.convolve(x, W, None, (1, 1), (0, 0), (1, 1), 1, shape[2:], F32)
    assert y.shape == (shape[0], 4, *shape[2:]) and not y.any()
    gamma = np.ones(shape[1], 'f')
    assert bn.normalize(x, gamma, gamma, gamma, gamma, (0, 2, 3)).shape == shape
    assert product(np.zeros((3000, 0), 'f'), np.zeros((0, 3000), 'f')).shape == (3000, 3000)


def test_other_dtypes_go_to_numpy():
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((2, 3, 8, 8)), rng.standard_normal((4, 3, 3, 3))
    before = _threads._thread.cached.cache_info()
    for dtype in 'ed':
        y = chainlite.functions.convolution_2d(x.astype(dtype), W.astype(dtype))
        assert y.dtype == dtype
    assert _threads._thread.cached.cache_info() == before


@pytest.mark.parametrize('rows, channels', [(70000, 3), (33000, 40)])
def test_statistics_of_many_pixels_are_exact(rows, channels):
    """Sums of that many elements in float32, one after the other, are off by a hundred times as much."""
    x = np.random.default_rng(0).standard_normal((1, rows, channels)).astype('f').transpose(0, 2, 1) + np.float32(3)
    gamma = np.ones(channels, 'f')
    results = implementation(bn.batch_normalize)(x, gamma, gamma, (0, 2), 2e-5)
    for actual, expected in zip(results, bn.batch_normalize.reference(*wide(x, gamma, gamma), (0, 2), 2e-5)):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=3e-6)


@pytest.mark.parametrize('seed', range(30))
def test_local_response_normalization(seed):
    r = Random(seed)
    shape = (r.pick(1, 3), r.pick(1, 5, 16, 20, 40), *r.ints(1, 9, 2))
    x, gy = r.array(*shape), r.array(*shape)
    numbers = r.pick(3, 5), r.pick(1, 2), r.pick(1e-4, 0.5), 0.75
    y, kept = implementation(lrn.normalize)(x, *numbers)
    expected, expected_kept = lrn.normalize.reference(x.astype('d'), *numbers)
    assert_equal(y, expected, 9)
    expected = lrn.normalize_grad.reference(*wide(gy, x), expected_kept, *numbers)
    assert_equal(implementation(lrn.normalize_grad)(gy, x, kept, *numbers), expected, 9)
    np.testing.assert_allclose(lrn.normalize_grad.reference(gy, x, kept, *numbers), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('seed', range(10))
def test_bfloat16(seed):
    """One rounding, to 8 bits, of a sum in 32 bits."""
    ml_dtypes = pytest.importorskip('ml_dtypes')
    if not _library.library().multiplies_bfloat16:
        pytest.skip('this processor has no instructions for bfloat16: NumPy computes')
    dtype = np.dtype(ml_dtypes.bfloat16)
    r = Random(seed)

    def assert_rounded(actual, expected):
        assert actual.dtype == dtype and actual.shape == expected.shape
        scale = abs(expected).max()
        np.testing.assert_allclose(actual.astype('d'), expected, rtol=2**-8, atol=1e-5 * scale)

    n, c, m, groups = r.pick(1, 3), r.pick(3, 8), r.pick(4, 16), r.pick(1, 2)
    window = (r.pick(1, 2), 1), (1, 0), (1, 1), groups
    outs = tuple(get_conv_outsize(8, 3, s, p, False, 1) for s, p in zip(*window[:2]))
    shapes = (n, groups * c, 8, 8), (groups * m, c, 3, 3), (n, groups * m, *outs), (groups * m,)
    x, W, gy, b = [r.array(*shape).astype(dtype) for shape in shapes]
    x64, W64, gy64, b64 = wide(x, W, gy, b)
    y = implementation(conv.convolve)(x, W, b, *window, outs, dtype)
    assert_rounded(y, conv.convolve.reference(x64, W64, b64, *window, outs, np.dtype('d')))
    gx = implementation(conv.deconvolve)(gy, W, None, *window, (8, 8), dtype)
    assert_rounded(gx, conv.deconvolve.reference(gy64, W64, None, *window, (8, 8), np.dtype('d')))
    gW = implementation(conv.filter_grad)(x, gy, (3, 3), *window, dtype)
    assert_rounded(gW, conv.filter_grad.reference(x64, gy64, (3, 3), *window, np.dtype('d')))

    rows, k = r.pick((100, 130), (16, 800))
    a, b = r.array(rows, k).astype(dtype), r.pick(r.array(k, 90), r.array(90, k).T).astype(dtype)
    assert_rounded(implementation(product)(a, b), a.astype('d') @ b.astype('d'))
