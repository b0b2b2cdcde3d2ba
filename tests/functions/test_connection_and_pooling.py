"""Linear maps, convolution and pooling: what they refuse, what their nodes show, what they retain."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite.backends.cuda import to_cpu
from chainlite.utils.type_check import InvalidType

xp = np  # in tests that take on_device, the device's


def zeros(*shape, dtype='f'):
    return xp.zeros(shape, dtype)


X, W = zeros(2, 3, 8, 9), zeros(4, 3, 3, 3)


@pytest.mark.parametrize(
    'call, error, message',
    [
        (lambda: F.linear(zeros(2, 3), zeros(4, 5)), InvalidType, r'x.shape\[1\] == W.shape\[1\]\nActual: 3 != 5'),
        (
            lambda: F.linear(zeros(2, 3), zeros(4, 3), zeros(5)),
            InvalidType,
            r'b.shape\[0\] == W.shape\[0\]\nActual: 5 != 4',
        ),
        (lambda: F.linear(zeros(2, 3, dtype='i'), zeros(4, 3)), InvalidType, r'x.dtype.kind == f\nActual: i != f'),
        (lambda: F.linear(zeros(2, 3), zeros(4, 3), None, 0), ValueError, 'n_batch_axes should be greater than 0'),
        (lambda: F.convolution_2d(X[0], W), InvalidType, r'in_types\[0\].ndim == 4\nActual: 3 != 4'),
        (
            lambda: F.convolution_2d(X, zeros(4, 5, 3, 3)),
            InvalidType,
            r'in_types\[0\].shape\[1\] == in_types\[1\].shape\[1\] \* 1\nActual: 3 != 5',
        ),
        (
            lambda: F.convolution_2d(X, W, zeros(5)),
            InvalidType,
            r'in_types\[2\].shape\[0\] == in_types\[1\].shape\[0\]\nActual: 5 != 4',
        ),
        (
            lambda: F.convolution_2d(X, W, zeros(4, dtype='d')),
            InvalidType,
            r'in_types\[2\].dtype == in_types\[0\].dtype',
        ),
        (lambda: F.convolution_2d(X[:, :, :2], W), AssertionError, 'Height in the output should be positive.'),
        (lambda: F.convolution_2d(X, W, dilate=0), ValueError, 'Dilate should be positive, but 0 is supplied.'),
        (lambda: F.convolution_2d(X, W, pad=-1), ValueError, 'pad must not be negative'),
        (
            lambda: F.convolution_2d(X, W, foo=1),
            TypeError,
            r"convolution_2d\(\) got unexpected keyword argument\(s\) 'foo'",
        ),
        (
            lambda: F.convolution_2d(X, W, deterministic=True),
            ValueError,
            'deterministic argument is not supported anymore',
        ),
        (lambda: F.convolution_nd(X[:, :, :2, 0], W[..., 0]), AssertionError, 'Output sizes should be positive.'),
        (lambda: F.convolution_1d(X, W), ValueError, 'should be 1. But the actual ndim was 2.'),
        (
            lambda: F.deconvolution_2d(X, zeros(5, 4, 3, 3)),
            InvalidType,
            r'in_types\[0\].shape\[1\] == in_types\[1\].shape\[0\]\nActual: 3 != 5',
        ),
        (
            lambda: F.deconvolution_2d(X, zeros(3, 4, 3, 3), None, 2, 1, (20, 18)),
            InvalidType,
            r'<= in_types\[0\].shape\[2\]\nActual: 10 > 8',
        ),
        (
            lambda: F.deconvolution_2d(zeros(1, 3, 1, 1), zeros(3, 4, 3, 3), None, 1, 2),
            RuntimeError,
            'Height in the output must be positive.',
        ),
        (lambda: F.embed_id(zeros(2), zeros(5, 4)), InvalidType, r'in_types\[0\].dtype.kind == i\nActual: f != i'),
        (
            lambda: F.bilinear(zeros(2, 3), zeros(2, 4), zeros(3, 4, 5), zeros(3, 5)),
            ValueError,
            'must be None, if at least one',
        ),
        (lambda: F.shift(X, 2), ValueError, 'kh must be odd'),
        (lambda: F.shift(X), InvalidType, r'x.shape\[1\] >= 9\nActual: 3 < 9'),
        (lambda: F.max_pooling_2d(X[0], 2), ValueError, 'should be 2. But the actual ndim was 1.'),
        (lambda: F.max_pooling_2d(X.astype('i'), 2), InvalidType, r'in_types\[0\].dtype.kind == f'),
        (lambda: F.average_pooling_2d(X, 20), AssertionError, 'Height in the output should be positive.'),
        (lambda: F.average_pooling_nd(X, 2, 2, 0, 3), ValueError, 'pad_value must be either 0 or None, not 3.'),
        (lambda: F.unpooling_2d(X, 2, 2, 0, (20, 18)), InvalidType, r'in_types\[0\].shape\[2\] == 10\nActual: 8 != 10'),
        (
            lambda: F.upsampling_2d(X, zeros(2, 3, 8, 8, dtype='i'), 2),
            InvalidType,
            r'in_types\[0\].shape == \(2, 3, 8, 8\)',
        ),
        (
            lambda: F.upsampling_2d(X, zeros(*X.shape, dtype='i'), 2, outsize=(17, 16)),
            InvalidType,
            r'in_types\[0\].shape\[2\] == 9\nActual: 8 != 9',
        ),
        (lambda: F.spatial_pyramid_pooling_2d(X, 2, 'avg'), ValueError, 'Unsupported pooling operation'),
        (
            lambda: F.roi_max_pooling_2d(X, zeros(2, 4), zeros(2, dtype='i'), (2, 0), 1.0),
            TypeError,
            r'outsize\[1\] must be positive integer',
        ),
        (
            lambda: F.roi_max_align_2d(X, zeros(2, 4), zeros(2, dtype='i'), 2, 1.0, 0),
            TypeError,
            'sampling_ratio must be integer >= 1',
        ),
    ],
)
def test_bad_input_is_refused(on_device, call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_rows_that_a_table_lacks_are_refused(xp):
    x, W = xp.asarray([1, 7], 'i'), xp.asarray(np.eye(5), 'f')
    if xp is np:
        with pytest.raises(IndexError, match='out of bounds'):
            F.embed_id(x, W)
    else:  # to look at the numbers is to wait for the device; no memory outside of the table is read
        assert F.embed_id(x, W).array.tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    with chainlite.using_config('debug', True), pytest.raises(ValueError, match='Each not ignored `x` value need'):
        F.embed_id(x, W)


def test_max_pooling_tells_where_the_maxima_were(device):
    x = np.random.default_rng(0).permutation(96).reshape(2, 3, 4, 4).astype('f')
    y, indexes = F.max_pooling_2d(device.send(x), 2, return_indices=True)
    windows = x.reshape(2, 3, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(2, 3, 2, 2, 4)
    np.testing.assert_array_equal(to_cpu(indexes), windows.argmax(axis=-1))
    assert indexes.dtype == np.int64
    up = F.upsampling_2d(y, indexes, 2, cover_all=False).array
    np.testing.assert_array_equal(to_cpu(up).max((2, 3)), x.max((2, 3)))


def test_max_pooling_knows_its_indexes_without_a_graph(device):
    from chainlite.functions.pooling.max_pooling_2d import MaxPooling2D

    x = device.send(np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype('f'))
    node, other = MaxPooling2D(2, 2), MaxPooling2D(2, 2)
    with chainlite.no_backprop_mode():
        node.apply((x,))
    other.apply((chainlite.Variable(x),))
    np.testing.assert_array_equal(to_cpu(node.indexes), to_cpu(other.indexes))


def test_nodes_show_the_numbers_of_their_windows(on_device):
    x = chainlite.Variable(X)
    node = F.convolution_2d(x, W, stride=(1, 2), pad=(2, 1), dilate=(1, 3)).creator
    assert (node.sy, node.sx, node.ph, node.pw, node.dy, node.dx, node.groups, node.label) == (
        1,
        2,
        2,
        1,
        1,
        3,
        1,
        'Convolution2DFunction',
    )
    node = F.average_pooling_2d(x, (2, 3), 2, 1).creator
    assert (node.kh, node.kw, node.sy, node.sx, node.ph, node.pw) == (2, 3, 2, 2, 1, 1)
    node = F.deconvolution_2d(x, zeros(3, 4, 3, 3), stride=2).creator
    assert (node.outh, node.outw) == (17, 19)


@pytest.mark.parametrize('needs', ['x', 'W'])
def test_convolution_retains_only_what_its_gradients_need(on_device, needs):
    x, w = [chainlite.Variable(a.copy(), requires_grad=name == needs) for name, a in (('x', X), ('W', W))]
    node = F.convolution_2d(x, w).creator
    assert [v.data is not None for v in node.inputs] == [needs == 'W', needs == 'x']


def test_gradients_have_the_dtypes_of_mixed_inputs(on_device):
    x, w, b = chainlite.Variable(X.astype('e')), chainlite.Variable(W), chainlite.Variable(zeros(4, dtype='e'))
    y = F.convolution_2d(x, w, b)
    assert y.dtype == np.float16
    y.grad = xp.ones_like(y.array)
    y.backward()
    assert (x.grad.dtype, w.grad.dtype, b.grad.dtype) == (np.float16, np.float32, np.float16)


def test_gradients_of_the_same_row_add_up(xp):
    W = chainlite.Variable(xp.zeros((4, 2), 'f'))
    y = F.embed_id(xp.array([[1, 3, 1], [1, -1, 0]], 'i'), W, ignore_label=0)
    y.grad = xp.arange(12, dtype='f').reshape(2, 3, 2)
    y.backward()
    np.testing.assert_array_equal(to_cpu(W.grad), [[0, 0], [0 + 4 + 6, 1 + 5 + 7], [0, 0], [2 + 8, 3 + 9]])


def test_empty_batches_pass(on_device):
    for function, shapes in [
        (lambda x, W: F.local_convolution_2d(x, W), [(0, 3, 4, 4), (2, 3, 3, 3, 2, 2)]),
        (lambda x, W: F.deconvolution_2d(x, W), [(0, 3, 4, 4), (3, 2, 2, 2)]),
        (lambda x: F.average_pooling_2d(x, 2), [(0, 3, 4, 4)]),
        (lambda x: F.unpooling_2d(x, 2), [(0, 3, 4, 4)]),
    ]:
        xs = [chainlite.Variable(zeros(*shape)) for shape in shapes]
        y = function(*xs)
        y.grad = xp.ones_like(y.array)
        y.backward()
        assert len(y) == 0 and [x.grad.shape for x in xs] == shapes


def test_bfloat16_is_a_float(device):
    bfloat16 = pytest.importorskip('ml_dtypes').bfloat16
    x, w, b = [
        chainlite.Variable(device.send(np.random.default_rng(0).standard_normal(s).astype(bfloat16)))
        for s in ((2, 3, 4, 4), (4, 3, 3, 3), 4)
    ]
    y = F.max_pooling_2d(F.batch_normalization(F.convolution_2d(x, w, b, 1, 1), b, b), 2)
    exact = [chainlite.Variable(v.array.astype('f')) for v in (x, w, b)]
    expected = F.max_pooling_2d(F.batch_normalization(F.convolution_2d(*exact, 1, 1), exact[2], exact[2]), 2)
    y.grad, expected.grad = device.xp.ones_like(y.array), device.xp.ones_like(expected.array)
    y.backward()
    assert {v.grad.dtype for v in (x, w, b)} == {np.dtype(bfloat16)}
    np.testing.assert_allclose(to_cpu(y.array.astype('f')), to_cpu(expected.array), atol=0.1)
