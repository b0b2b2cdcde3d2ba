"""The kernels of convolution and pooling against their references, and the references against PyTorch and direct
definitions."""

import itertools

import numpy as np
import pytest

from chainlite.backends._layout import as_last
from chainlite.backends.cpu import conv, pooling
from chainlite.utils.conv_nd import get_conv_outsize

of_numpy = pytest.mark.host("NumPy's kernels; those of CUDA are in tests/gpu/test_kernels.py")
DIMS = (7, 6, 5)
GEOMETRIES = [
    (n, k, s, p, d, cover)
    for n, k, s, p, d, cover in itertools.product((1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 2), (1, 2), (False, True))
    if all(get_conv_outsize(size, k, s, p, cover, d) > 0 for size in DIMS[:n])
]


def geometry(n, k, s, p, d, cover):
    dims = DIMS[:n]
    outs = tuple(get_conv_outsize(size, k, s, p, cover, d) for size in dims)
    return dims, (k,) * n, (s,) * n, (p,) * n, (d,) * n, outs


@of_numpy
@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('few', [0, 1 << 30])
@pytest.mark.parametrize('block', [1, 1 << 18])
def test_convolutions_equal_their_references(monkeypatch, groups, few, block):
    monkeypatch.setattr(conv, 'FEW', few)
    monkeypatch.setattr(conv, 'BLOCK', block)
    rng = np.random.default_rng(0)
    for g in GEOMETRIES:
        dims, ksize, stride, pad, dilate, outs = geometry(*g)
        x, W, b = (
            rng.standard_normal((3, 4, *dims)),
            rng.standard_normal((6, 4 // groups, *ksize)),
            rng.standard_normal(6),
        )
        gy = rng.standard_normal((3, 6, *outs))
        window = stride, pad, dilate, groups
        for kernel, args in [
            (conv.convolve, (x, W, b, *window, outs, x.dtype)),
            (conv.deconvolve, (gy, W, None, *window, dims, x.dtype)),
            (conv.filter_grad, (x, gy, ksize, *window, x.dtype)),
        ]:
            fast = [f for backend, _, f in kernel.implementations if backend.name == 'numpy']
            np.testing.assert_allclose(fast[0](*args), kernel.reference(*args), rtol=1e-11, atol=1e-11)


@of_numpy
@pytest.mark.parametrize('dtype', 'efd')
@pytest.mark.parametrize('dims', [(1,), (4,), (1, 1), (4, 3), (2, 3, 2)])
@pytest.mark.parametrize('last', [False, True])
def test_convolutions_of_windows_as_large_as_the_image_are_single_products(dtype, dims, last):
    rng = np.random.default_rng(0)
    outs, ones = (1,) * len(dims), (1,) * len(dims)
    x, W, b, back, gy = [
        rng.standard_normal(s).astype(dtype) for s in ((5, 4, *dims), (6, 4, *dims), (6,), (4,), (5, 6, *outs))
    ]
    x = as_last(x) if last else x
    window = (2,) * len(dims), (0,) * len(dims), ones, 1
    for kernel, args in [
        (conv.convolve, (x, W, b, *window, outs, x.dtype)),
        (conv.deconvolve, (gy, W, back, *window, dims, x.dtype)),
        (conv.filter_grad, (x, gy, dims, *window, x.dtype)),
    ]:
        ((guard, single),) = [(g, f) for backend, g, f in kernel.implementations if backend.name == 'products']
        assert guard(*args)
        y, expected = single(*args), kernel.reference(*args)
        assert y.dtype == expected.dtype and y.shape == expected.shape
        np.testing.assert_allclose(
            y, expected, **{'e': {'atol': 4e-3}, 'f': {'rtol': 2e-6, 'atol': 2e-6}, 'd': {}}[dtype]
        )


@of_numpy
def test_convolution_equals_pytorchs():
    torch = pytest.importorskip('torch', reason='PyTorch, to compare with, is not installed')
    rng = np.random.default_rng(0)
    for n, k, s, p, d, cover in GEOMETRIES:
        if cover:
            continue
        dims, ksize, stride, pad, dilate, outs = geometry(n, k, s, p, d, cover)
        x, W, b = rng.standard_normal((3, 4, *dims)), rng.standard_normal((6, 2, *ksize)), rng.standard_normal(6)
        function = getattr(torch.nn.functional, f'conv{n}d')
        expected = function(torch.tensor(x), torch.tensor(W), torch.tensor(b), s, p, d, 2).numpy()
        y = conv.convolve.reference(x, W, b, stride, pad, dilate, 2, outs, x.dtype)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@of_numpy
def test_the_three_convolutions_are_one_trilinear_form():
    rng = np.random.default_rng(0)
    for g in GEOMETRIES:
        dims, ksize, stride, pad, dilate, outs = geometry(*g)
        x, W, y = [rng.standard_normal(s) for s in ((2, 4, *dims), (6, 2, *ksize), (2, 6, *outs))]
        window = stride, pad, dilate, 2
        forms = [
            (conv.convolve.reference(x, W, None, *window, outs, x.dtype) * y).sum(),
            (conv.deconvolve.reference(y, W, None, *window, dims, x.dtype) * x).sum(),
            (conv.filter_grad.reference(x, y, ksize, *window, x.dtype) * W).sum(),
        ]
        np.testing.assert_allclose(forms, forms[0], rtol=1e-10, atol=1e-10)


def pooled(kind, dtype, *shape):
    """Images with ties, and with NaN or -inf."""
    x = np.random.default_rng(0).integers(-2, 3, shape).astype(dtype)
    if kind == 'nan':
        x[0, 0, ..., 0] = np.nan
    elif kind == 'minus infinity':
        x[1, 1] = -np.inf
    return x


@of_numpy
@pytest.mark.parametrize('kind', ['ties', 'nan', 'minus infinity'])
@pytest.mark.parametrize('dtype', 'efd')
@pytest.mark.parametrize('block', [1, 1 << 17])
def test_max_pooling_equals_its_reference(monkeypatch, kind, dtype, block):
    monkeypatch.setattr(pooling, 'BLOCK', block)
    for n, k, s, p, cover in itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3), (0, 1, 3), (False, True)):
        dims, ksize, stride, pad, _, outs = geometry(n, k, s, p, 1, cover)
        x = pooled(kind, dtype, 2, 3, *dims)
        for implementation in [f for backend, _, f in pooling.max_pool.implementations if backend.name == 'numpy']:
            y, places = implementation(x, ksize, stride, pad, outs, True)
            expected, expected_places = pooling.max_pool.reference(x, ksize, stride, pad, outs, True)
            np.testing.assert_array_equal(y, expected)
            finite = expected > -np.inf  # the reference may choose the padding otherwise
            np.testing.assert_array_equal(places[finite], expected_places[finite])
            assert implementation(x, ksize, stride, pad, outs, False)[1] is None


@of_numpy
@pytest.mark.parametrize('dtype, tolerance', [('e', 1e-2), ('f', 1e-5), ('d', 1e-12)])
def test_gradients_of_max_pooling_equal_their_references(dtype, tolerance):
    for n, k, s, p, cover in itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3), (0, 1, 3), (False, True)):
        dims, ksize, stride, pad, _, outs = geometry(n, k, s, p, 1, cover)
        x = pooled('minus infinity', dtype, 2, 3, *dims)
        y, places = pooling.max_pool(x, ksize, stride, pad, outs, True)
        gy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
        gy.flat[0] = np.inf
        for kernel, args in [
            (pooling.max_spread, (gy, places, *(ksize, stride, pad), dims)),
            (pooling.max_pick, (x, places, ksize, stride, pad)),
        ]:
            expected = kernel.reference(*args)
            actual = kernel(*args)
            assert actual.dtype == dtype
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_places_in_the_padding_are_left_out(xp):
    places = xp.zeros((1, 1, 2, 2), int)  # the first element of each window: in the padding but for one
    x = xp.arange(4.0).reshape(1, 1, 2, 2) + 1
    window = (2, 2), (1, 1), (1, 1)
    assert pooling.max_pick(x, places, *window).tolist() == [[[[0, 0], [0, 1]]]]
    assert pooling.max_spread(x, places, *window, (2, 2)).tolist() == [[[[4, 0], [0, 0]]]]


@of_numpy
def test_window_sums_equal_the_sums_of_columns():
    for n, k, s, p, cover in itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3), (0, 1, 3), (False, True)):
        dims, ksize, stride, pad, _, outs = geometry(n, k, s, p, 1, cover)
        x = np.random.default_rng(0).standard_normal((2, 3, *dims))
        ones = np.ones((3, 1, *ksize))
        expected = conv.convolve.reference(x, ones, None, stride, pad, (1,) * n, 3, outs, x.dtype)
        y = pooling.window_sum(x, ksize, stride, pad, outs)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            (pooling.window_spread(y, ksize, stride, pad, dims) * x).sum(), (y * y).sum(), rtol=1e-10
        )
