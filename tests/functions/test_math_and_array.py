"""What the samples do not show: bad input, mixed dtypes, and what is exact at the edges."""

import operator

import numpy as np
import pytest

import chainlite
from chainlite import functions as F
from chainlite.backends.cuda import to_cpu
from chainlite.utils.type_check import InvalidType

xp = np  # in tests that take on_device, the device's, and so are these
X = np.arange(12, dtype='f').reshape(3, 4)
X3 = np.arange(24, dtype='f').reshape(2, 3, 4)
ONES = np.ones((3, 3), 'f')
IMAGES = np.zeros((2, 4, 3, 3), 'f')
INTS = np.arange(4)

# The errors are Chainer's, texts too where it has one.
BAD = [
    (lambda: F.as_strided(X, (2, 2), (4,)), ValueError, 'strides, if given, must be the same length as shape'),
    (lambda: F.as_strided(X, (2, 2), (4, 1), -1), ValueError, 'Out of buffer: too small index was specified'),
    (lambda: F.as_strided(X, (20, 2), (4, 1)), ValueError, 'Out of buffer: too large index was specified'),
    (lambda: F.broadcast(), InvalidType, 'in_types.size > 0'),
    (lambda: F.broadcast(X, X[:2]), InvalidType, 'cannot broadcast inputs of the following shapes'),
    (lambda: F.broadcast_to(X, (2, 4)), InvalidType, 'BroadcastTo'),
    (lambda: F.broadcast_to(X, (3,)), InvalidType, r'x.ndim <= len\(shape\)'),
    (lambda: F.depth2space(X, 2), InvalidType, 'x.ndim == 4'),
    (lambda: F.depth2space(IMAGES, 3), ValueError, 'number of channels, 4, must be divisible'),
    (lambda: F.space2depth(IMAGES, 2), ValueError, 'height and width, 3 and 3, must be divisible'),
    (lambda: F.diagonal(INTS), InvalidType, 'x.ndim > 1'),
    (lambda: F.diagonal(X, 0, 0, 0), ValueError, 'axis1 and axis2 cannot be the same'),
    (lambda: F.dstack([]), InvalidType, 'in_types.size > 0'),
    (lambda: F.hstack([X, X[:2]]), InvalidType, r'x0.shape\[0\] == x1.shape\[0\]'),
    (lambda: F.vstack([X, X[:, :2]]), InvalidType, r'shape\[1\]'),
    (lambda: F.vstack([X, X.astype('d')]), InvalidType, 'dtype'),
    (lambda: F.stack([X, X[:2]]), InvalidType, r'in_types\[1\].shape == in_types\[0\].shape'),
    (lambda: F.stack([X, X.astype('d')]), InvalidType, r'Stack(.|\n)*in_types\[1\].dtype == in_types\[0\].dtype'),
    (lambda: F.stack([X, X], 3), InvalidType, 'ndim >= 3'),
    (lambda: F.flip(X, 'a'), TypeError, 'axis must be int'),
    (lambda: F.flip(X, 2), InvalidType, 'x.ndim > 2'),
    (lambda: F.flip(X, -3), InvalidType, 'x.ndim >= 3'),
    (lambda: F.fliplr(INTS), InvalidType, 'FlipLR'),
    (lambda: F.moveaxis(X3, (0, 1), (1,)), ValueError, 'must have the same number of elements'),
    (lambda: F.moveaxis(X3, (0, 0), (1, 2)), ValueError, 'repeated axis in `source` argument'),
    (lambda: F.moveaxis(X3, 'a', 0), TypeError, 'source'),
    (lambda: F.moveaxis(X3, 0, 5), InvalidType, 'x.ndim > 5'),
    (lambda: F.pad_sequence([X, X[:2]], length=2), InvalidType, r'x0.shape\[0\] <= 2'),
    (lambda: F.permutate(X, xp.array([2.0, 0])), ValueError, 'indices should be a one-dimensional int array'),
    (lambda: F.repeat(X, [1, 2, 3], 0), TypeError, 'repeats must be int or tuple of ints'),
    (lambda: F.repeat(X, -1), ValueError, 'all elements in repeats must be zero or larger'),
    (lambda: F.repeat(X, 2, 'a'), TypeError, 'axis must be int or None'),
    (lambda: F.rollaxis(X3, 3), InvalidType, 'x.ndim > 3'),
    (lambda: F.rollaxis(X3, 1, 4), InvalidType, 'x.ndim >= 4'),
    (lambda: F.rollaxis(X3, 0, 1.0), TypeError, 'start must be int'),
    (lambda: F.scatter_add(X, (0, 0, 0, 0), X), InvalidType, r'Expect: a.ndim >= 4'),
    (lambda: F.scatter_add(X, 0, X), ValueError, 'Chainer does not support automatic broadcasting of variables.'),
    (lambda: F.select_item(X, xp.array([0, 1])), InvalidType, r'x.shape\[0\] == t.shape\[0\]'),
    (lambda: F.separate(X, 2), InvalidType, 'x.ndim > 2'),
    (lambda: F.squeeze(X3, 0), ValueError, 'cannot select an axis to squeeze out'),
    (lambda: F.squeeze(X3, 'a'), TypeError, 'axis must be None, int or tuple of ints'),
    (lambda: F.squeeze(X3, 5), InvalidType, 'ndim > 5'),
    (lambda: F.tile(X, [2, 2]), TypeError, 'reps must be int or tuple of ints'),
    (lambda: F.tile(X, (2, -1)), ValueError, 'All elements in reps must be zero or larger'),
    (lambda: F.transpose_sequence([X[:2], X]), InvalidType, r'in_types\[0\].shape\[0\] >= in_types\[1\].shape\[0\]'),
    (lambda: F.split_axis(X, 3, 1), InvalidType, 'sections == 0'),
    (lambda: F.split_axis(X, 2.0, 0), TypeError, 'indices_or_sections must be integer or 1-D array'),
    (lambda: F.split_axis(X, -2, 1), ValueError, 'number sections must be larger than 0.'),
    (lambda: F.reshape(X, (-1, 0)), ValueError, 'cannot reshape array of size 12'),
    (lambda: F.spatial_transformer_grid(X, (4, 5)), InvalidType, 'SpatialTransformerGrid'),
    (lambda: F.sum(X, 2), InvalidType, 'x.ndim > 2'),
    (lambda: F.sum(X, (0, 0)), ValueError, r'duplicate value in axis: \(0, 0\)'),
    (lambda: F.sum(X, (0, -2)), ValueError, "duplicate value in 'axis'"),
    (lambda: F.max(X, [0]), TypeError, 'None, int or tuple of int are required'),
    (lambda: F.prod(X, (0, 'a')), TypeError, 'None, int or tuple of int are required'),
    (lambda: F.logsumexp(X, -3), InvalidType, 'x.ndim > 2'),
    (lambda: F.argmax(X, (0, 1)), TypeError, 'None or int are required'),
    (lambda: F.argmin(X, 2), InvalidType, 'ndim > 2'),
    (lambda: F.average(X, 2), InvalidType, 'x.ndim > 2'),
    (lambda: F.average(X, (0, 1), X), ValueError, 'tuple axis is not supported when weights is given'),
    (lambda: F.clip(X, 1, 1), ValueError, 'x_min must be less than x_max.'),
    (lambda: F.clip(X, None, None), ValueError, 'must set either max or min'),
    (lambda: F.cumsum(X, 'a'), TypeError, 'axis must be int or None'),
    (lambda: F.cumprod(X, 2), InvalidType, 'x.ndim > 2'),
    (lambda: F.cholesky(-ONES), np.linalg.LinAlgError, 'not positive definite'),
    (lambda: F.inv(X), InvalidType, r'a.shape\[0\] == a.shape\[1\]'),
    (lambda: F.batch_det(ONES), InvalidType, 'x.ndim == 3'),
    (lambda: F.bias(X, X[:, 0]), InvalidType, 'BroadcastTo'),
    (lambda: F.einsum(), ValueError, 'No input operands'),
    (lambda: F.einsum('ij', X, X), ValueError, 'Number of einsum subscripts must be equal to the number of operands.'),
    (lambda: F.einsum('ij,jk->ik', X, X), InvalidType, r'x0.shape\[1\] == x1.shape\[0\]'),
    (lambda: F.einsum('ij->ijk', X), ValueError, 'Output character k did not appear in the input'),
    (lambda: F.einsum('ij->ii', X), ValueError, "output subscript 'i' multiple times"),
    (lambda: F.einsum('i1', X), ValueError, 'Character 1 is not a valid symbol.'),
    (lambda: F.einsum('i...->', X), ValueError, 'einsum should not support summing over Ellipsis'),
    (lambda: F.einsum('...i,...i', X, X[:1]), InvalidType, 'EinSum'),
    (lambda: F.tensordot(X, X, 3), ValueError, r'dot-axes count \(3\)'),
    (lambda: F.tensordot(X, X, ([0], [1])), ValueError, 'shape mismatch'),
    (lambda: F.tensordot(X, X, ([0, 1], [0])), ValueError, 'axes count mismatch'),
    (lambda: F.tensordot(X, X, 1.0), TypeError, 'axes'),
    (lambda: F.sparse_matmul(X, X), ValueError, 'This combination of type of inputs is not supported.'),
    (lambda: F.fft((X, X.astype('d'))), InvalidType, 'dtype'),
    (lambda: chainlite.Variable(X) + [1, 2], TypeError, 'Value must be a scalar'),
    (lambda: chainlite.Variable(X) + chainlite.Variable(X.astype('d')), InvalidType, 'dtype'),
    (lambda: chainlite.Variable(X) + X[:2], InvalidType, 'cannot broadcast inputs of the following shapes'),
    (lambda: chainlite.Variable(INTS) * INTS, InvalidType, 'dtype.kind == f'),
    (lambda: F.sum(INTS), InvalidType, 'dtype.kind == f'),
    (lambda: F.mean(INTS), InvalidType, 'dtype.kind == f'),
    (lambda: F.crelu(X[0]), InvalidType, 'x.ndim > 1'),
    (lambda: F.crelu(X, 1.0), TypeError, 'axis must be an integer value'),
    (lambda: F.maxout(X, 3), InvalidType, 'axis dimension must be divided by pool_size'),
    (lambda: F.maxout(X, 0), ValueError, 'pool_size must be a positive integer.'),
    (lambda: F.prelu(X, X[0, :3]), InvalidType, r'x.shape\[1:2\] == W.shape'),
    (lambda: F.rrelu(X, 0.5, 0.2), ValueError, 'lower must be less than upper'),
    (lambda: F.contrastive(X, X, INTS[:3], margin=0), ValueError, 'margin should be positive value.'),
    (lambda: F.triplet(X, X, X, margin=-1), ValueError, 'margin should be positive value.'),
    (lambda: F.hinge(X, INTS[:3], norm='L3'), NotImplementedError, "norm should be either 'L1' or 'L2'"),
    (lambda: F.connectionist_temporal_classification(X, INTS, 0), TypeError, 'x must be a list of Variables'),
    (lambda: F.connectionist_temporal_classification([X], INTS, 1.0), TypeError, 'blank_symbol must be non-negative'),
    (lambda: F.softmax_cross_entropy(X, INTS[:3], class_weight=X), ValueError, 'class_weight.ndim should be 1'),
    (
        lambda: F.softmax_cross_entropy(X, INTS[:3], class_weight=INTS),
        ValueError,
        "dtype of class_weight should be 'f'",
    ),
    (lambda: F.softmax_cross_entropy(X, X, soft_target_loss='z'), ValueError, "'cross-entropy' or 'kl-divergence'"),
]


@pytest.mark.parametrize('call, error, text', BAD)
def test_bad_input_is_refused(on_device, call, error, text):
    with pytest.raises(error, match=text):
        call()


LABELS = np.array([0, 1, 0], 'i')
REDUCE = [
    (lambda **k: F.black_out(X, LABELS, np.ones((3, 4), 'f'), np.zeros((3, 2), 'i'), **k), "only 'mean' and 'no'"),
    (lambda **k: F.contrastive(X, X, LABELS, **k), "only 'mean' and 'no'"),
    (lambda **k: F.crf1d(np.ones((4, 4), 'f'), [X], [LABELS], **k), "only 'mean' and 'no'"),
    (lambda **k: F.connectionist_temporal_classification([X], np.zeros((3, 1), 'i'), 0, **k), "only 'mean' and 'no'"),
    (lambda **k: F.cross_covariance(X, X, **k), "Only 'half_squared_sum' and 'no'"),
    (lambda **k: F.decov(X, **k), "only 'half_squared_sum' and 'no'"),
    (lambda **k: F.hinge(X, LABELS, **k), "only 'mean' and 'no'"),
    (lambda **k: F.huber_loss(X, X, 1.0, **k), "Only 'sum_along_second_axis' and 'no'"),
    (lambda **k: F.negative_sampling(X, LABELS, X, lambda s: np.zeros(s, 'i'), 2, **k), "only 'sum' and 'no'"),
    (lambda **k: F.sigmoid_cross_entropy(X, X.astype('i'), **k), "only 'mean' and 'no'"),
    (lambda **k: F.softmax_cross_entropy(X, LABELS, **k), "only 'mean' and 'no'"),
    (lambda **k: F.triplet(X, X, X, **k), "only 'mean' and 'no'"),
    (lambda **k: F.gaussian_kl_divergence(X, X, **k), "only 'sum', 'mean' and 'no'"),
]


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('loss, valid', REDUCE)
def test_losses_say_how_they_can_be_reduced(loss, valid):
    with pytest.raises(ValueError, match=f"{valid} are valid for 'reduce', but 'all' is given"):
        loss(reduce='all')


@pytest.mark.parametrize('places', [(-1,), (1, -1), (-3, -2), (3, 1), (0, 4)])
def test_split_axis_takes_places_from_the_end_as_numpy_does(xp, places):
    x = chainlite.Variable(xp.arange(12, dtype='f').reshape(3, 4))
    ys = F.split_axis(x, places, 1)
    for y, expected in zip(ys, np.split(X, places, 1), strict=True):
        np.testing.assert_array_equal(to_cpu(y.array), expected)
    if places != (3, 1):  # whose parts do not make up x
        chainlite.backward(ys, [chainlite.Variable(y.array * 2) for y in ys])
        np.testing.assert_array_equal(to_cpu(x.grad), X * 2)


@pytest.mark.parametrize(
    'op', [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.floordiv]
)
@pytest.mark.parametrize('dtype', ['e', 'f', 'd'])
@pytest.mark.parametrize('other', [np.ones(3, 'd'), np.ones(3, 'l'), np.array(2.0), np.float64(2), 2, 2.5, True])
def test_other_operand_takes_the_dtype_of_the_variable(device, op, dtype, other):
    array, other_array = np.array([1, 2, 3], dtype), other
    x = chainlite.Variable(device.send(array))
    if isinstance(other, np.ndarray):
        other = device.send(other)
    for y, expected in [(op(x, other), op(array, other_array)), (op(other, x), op(other_array, array))]:
        assert y.dtype == dtype
        np.testing.assert_allclose(to_cpu(y.array), expected.astype(dtype), rtol=2e-3)


@pytest.mark.parametrize('function', [F.max, F.min, F.sum, F.mean, F.prod, F.logsumexp])
@pytest.mark.parametrize('dtype', ['e', 'f', 'd'])
def test_one_number_reduces_to_itself(xp, function, dtype):
    x = chainlite.Variable(xp.array(0.5, dtype))
    y = function(x)
    y.backward()
    assert (y.shape, y.dtype, x.grad.dtype) == ((), dtype, dtype)
    assert (float(y.array), float(x.grad)) == (0.5, 1)


@pytest.mark.parametrize('shape', [(0, 3), (0, 3, 4), (2, 3, 0)])
@pytest.mark.parametrize('reduce', ['mean', 'no'])
def test_cross_entropy_of_no_labels_is_nothing(xp, shape, reduce):
    x = chainlite.Variable(xp.zeros(shape, 'f'))
    y = F.softmax_cross_entropy(x, xp.zeros((shape[0], *shape[2:]), 'i'), reduce=reduce)
    F.sum(y).backward()
    assert y.array.sum() == 0 and x.grad.shape == shape


@pytest.mark.parametrize('kwargs', [{}, dict(soft_target_loss='kl-divergence'), dict(class_weight=[1, 2, 4])])
def test_cross_entropy_takes_bfloat16(xp, kwargs):
    bfloat16 = pytest.importorskip('ml_dtypes').bfloat16
    x, t = xp.array([[0.5, 2, -1], [1, 0, 0.25]], 'f'), xp.array([[0.5, 0.25, 0.25], [0, 0, 1]], 'f')
    expected, computed = [], []
    for dtype, losses in [('f', expected), (bfloat16, computed)]:
        if 'class_weight' in kwargs:
            y = F.softmax_cross_entropy(
                x.astype(dtype), xp.array([0, 2]), class_weight=xp.array(kwargs['class_weight'], dtype)
            )
        else:
            y = F.softmax_cross_entropy(x.astype(dtype), t.astype(dtype), **kwargs)
        losses.append(y)
    assert computed[0].dtype == bfloat16
    np.testing.assert_allclose(to_cpu(computed[0].array.astype('f')), to_cpu(expected[0].array), rtol=0.02)


def test_cross_entropy_of_ignored_labels_is_0_where_a_score_is_infinite(xp):
    x = xp.array([[-np.inf, 0, 0], [0, 0, 0]], 'f')
    loss = F.softmax_cross_entropy(x, xp.array([-1, 1]), reduce='no')
    np.testing.assert_allclose(to_cpu(loss.array), [0, np.log(3)], rtol=1e-6)


@pytest.mark.parametrize('name', ['softmax', 'log_softmax', 'softmax_cross_entropy'])
def test_many_short_rows_do_as_each_alone(xp, name):
    array, gy = np.random.default_rng(0).standard_normal((2, 40, 3)).astype('f')
    labels = np.arange(40, dtype='i') % 3

    def run(i):
        x = chainlite.Variable(xp.asarray(array[i]))
        if name == 'softmax_cross_entropy':
            y = F.softmax_cross_entropy(x, xp.asarray(labels[i]), reduce='no')
        else:
            y = getattr(F, name)(x)
        y.grad = xp.asarray(gy[i] if y.ndim == 2 else gy[i, 0])
        y.backward()
        assert y.array.flags.c_contiguous
        return to_cpu(y.array), to_cpu(x.grad)

    y, gx = run(slice(40))
    for i in range(40):
        y_of_row, gx_of_row = run(slice(i, i + 1))
        np.testing.assert_allclose(y[i], y_of_row[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gx[i], gx_of_row[0], rtol=1e-5, atol=1e-6)


def test_linear_takes_no_rows_with_several_batch_axes(on_device):
    y = F.linear(xp.zeros((0, 2, 4), 'f'), ONES[:, [0, 1, 2, 0]], n_batch_axes=2)
    assert y.shape == (0, 2, 3)


def test_debug_mode_checks_labels_and_axes(on_device):
    with chainlite.using_config('debug', True):
        with pytest.raises(ValueError, match='Each label `t` need to satisfy `0 <= t < x.shape'):
            F.select_item(X, xp.array([0, 1, 4]))
        with pytest.raises(AssertionError):
            F.scale(X, X[:, 0])


def test_gradient_of_a_repeated_index_adds_up(xp):
    x = chainlite.Variable(xp.zeros(3, 'f'))
    y = x[[0, 2, 0]]
    y.grad = xp.array([1, 2, 4], 'f')
    y.backward()
    np.testing.assert_array_equal(to_cpu(x.grad), [5, 0, 2])


def test_as_strided_sees_the_memory_of_a_view(xp):
    memory = xp.arange(8, dtype='f')
    x = chainlite.Variable(memory[2:6])
    y = F.as_strided(x, (3,), (2,), 1)
    np.testing.assert_array_equal(to_cpu(y.array), [1, 3, 5])
    y.grad = xp.ones(3, 'f')
    y.backward()
    np.testing.assert_array_equal(to_cpu(x.grad), [0, 1, 0, 1])


@pytest.mark.host('a GPU needs no SciPy')
def test_special_functions_say_what_they_need(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'scipy.special', None)
    with pytest.raises(ImportError, match='SciPy is not available'):
        F.digamma(X + 1)
    import math

    x = np.linspace(-3, 3, 7)
    for name, function in [('erf', math.erf), ('erfc', math.erfc), ('ndtr', lambda v: math.erfc(-v / 2**0.5) / 2)]:
        np.testing.assert_allclose(getattr(F, name)(x).array, [function(v) for v in x], rtol=1e-12)


def test_log_ndtr_without_scipy_agrees_with_it(device, monkeypatch):
    x = np.concatenate([np.linspace(-60, 10, 141), [-29.9, -30.1]])
    expected = F.log_ndtr(x).array
    monkeypatch.setitem(__import__('sys').modules, 'scipy.special', None)
    np.testing.assert_allclose(to_cpu(F.log_ndtr(device.send(x)).array), expected, rtol=1e-5)


def test_products_with_zeros_have_gradients(xp):
    x = chainlite.Variable(xp.array([2, 0, 3, 5], 'd'))
    F.prod(x).backward()
    np.testing.assert_array_equal(to_cpu(x.grad), [0, 30, 0, 0])


@pytest.mark.parametrize(
    'indices,message',
    [
        ([0, 0], 'indices contains duplicate value: 0'),
        ([-1, 0], 'Out of bounds index: -1'),
        ([0, 2], 'bounds index: 2'),
    ],
)
def test_permutate_looks_at_indices_in_debug_mode(xp, indices, message):
    x, indices = xp.zeros((2, 5), 'f'), xp.asarray(indices, 'i')
    with chainlite.using_config('debug', True), pytest.raises(ValueError, match=message):
        F.permutate(x, indices)


def test_as_strided_of_a_view_sees_its_whole_memory(xp):
    x = chainlite.Variable(F.as_strided(xp.arange(8, dtype='f'), (3, 3), (-1, 2), 3).array)
    y = F.as_strided(x, (3, 3), (1, 2), 0)
    assert y.array.tolist() == [[0, 2, 4], [1, 3, 5], [2, 4, 6]]
    y.grad = xp.ones((3, 3), 'f')
    y.backward()
    assert x.grad.shape == (3, 3)


def test_the_mean_of_16_bit_numbers_does_not_overflow(xp):
    x = xp.full((64, 1, 16, 16), 4, 'e')
    assert float(F.mean(x).array) == 4 and F.mean(x).dtype == 'e'
    assert float(F.mean_absolute_error(x, -x).array) == 8


def test_huber_loss_takes_single_numbers(xp):
    x, t = xp.asarray(3, 'f'), xp.asarray(1, 'f')
    assert float(F.huber_loss(x, t, 1.5, reduce='no').array) == 1.5 * (2 - 0.75)


def test_singular_matrices_are_an_error_and_on_a_gpu_in_debug_mode(xp):
    x = xp.ones((2, 2), 'f')
    if xp is not np:
        F.inv(x)  # to look is to wait for the device
    with chainlite.using_config('debug', xp is not np), pytest.raises(ValueError, match='Input has singular matrices.'):
        F.inv(x)


def test_labels_without_a_class_are_an_error_and_on_a_gpu_nan(xp):
    x, t = xp.ones((3, 3), 'f'), xp.array([0, 3, -2])
    if xp is np:
        with pytest.raises(IndexError, match='from -2 to 3, but there are 3 classes'):
            F.softmax_cross_entropy(x, t)
    else:  # to look is to wait for the device
        loss = F.softmax_cross_entropy(x, t, reduce='no').array
        np.testing.assert_allclose(to_cpu(loss), [np.log(3), np.nan, np.nan], rtol=1e-6)
    with chainlite.using_config('debug', True), pytest.raises(ValueError, match='Each label `t` need to satisfy'):
        F.softmax_cross_entropy(x, t)


def test_ctc_of_labels_that_do_not_fit_is_large_and_has_a_gradient(xp):
    scores = [
        xp.array([[1, 2, 3], [1, -np.inf, 1], [1, 2, 3]], 'f') + i * xp.array([0.1, -0.2, 0.5], 'f') for i in (0, 1)
    ]
    xs = [chainlite.Variable(x) for x in scores]
    loss = F.connectionist_temporal_classification(
        xs, xp.array([[1, 1], [1, 0], [1, 0]], 'i'), 0, label_length=xp.array([2, 1, 1], 'i'), reduce='no'
    )
    loss.grad = xp.ones(3, 'f')
    loss.backward()
    # what Chainer 7.8.1 computes
    np.testing.assert_allclose(to_cpu(loss.array), [1e10, 1e10, 2.7263236], rtol=1e-6)
    first = [[-2.9099693, -1.7552716, 0.6652409], [-1.5, -1, 0.5], [-0.1072805, -0.5579604, 0.6652409]]
    second = [[-2.9287593, -1.856539, 0.7852983], [-1.5986876, -1, 0.5986876], [-0.1951013, -0.5901968, 0.7852983]]
    np.testing.assert_allclose(to_cpu(xs[0].grad), first, rtol=1e-5)
    np.testing.assert_allclose(to_cpu(xs[1].grad), second, rtol=1e-5)


def test_batch_matmul_is_deprecated(xp):
    with pytest.warns(DeprecationWarning, match='batch_matmul is deprecated. Use matmul instead.'):
        assert F.batch_matmul(xp.ones((2, 3), 'f'), xp.ones((2, 3, 4), 'f'), transa=True).shape == (2, 1, 4)


# Which side a kink is on: the gradients that Chainer gives at zero, where the samples are not.
AT_ZERO = [
    (F.relu, 0),
    (F.leaky_relu, 0.2),
    (lambda x: F.leaky_relu(x, -0.5), -0.5),
    (lambda x: F.prelu(x, x.xp.full((), 0.25, 'f')), 1),
    (F.elu, 1),
    (lambda x: F.clipped_relu(x, 1.0), 0),
    (lambda x: F.clip(x, 0.0, 1.0), 1),
    (F.absolute, 0),
    (lambda x: F.maximum(x, 0 * x.array), 1),
    (lambda x: F.minimum(x, 0 * x.array), 1),
]


@pytest.mark.parametrize('enable_double_backprop', [False, True])
@pytest.mark.parametrize(('function', 'expected'), AT_ZERO)
def test_gradients_at_zero(function, expected, enable_double_backprop, device):
    x = chainlite.Variable(device.send(np.array([0.0, -0.0], 'f')))
    F.sum(function(x)).backward(enable_double_backprop=enable_double_backprop)
    np.testing.assert_allclose(to_cpu(x.grad), [expected] * 2, rtol=1e-6)
