"""Normalization: kernels against references, statistics, warnings and messages."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite.backends.cpu import batch_normalization as kernels
from chainlite.backends.cuda import to_cpu
from chainlite.utils.type_check import InvalidType

CASES = [
    ((5, 4, 3, 2), (0, 2, 3)),
    ((5, 4), (0,)),
    ((5, 4, 3), (0, 1)),
    ((5, 4, 3), (1,)),
    ((5, 4, 3), (0, 1, 2)),
    ((5, 4, 3), (2,)),
    ((3, 5, 4, 3), (1, 2)),
    ((70, 300, 40), (0, 2)),
    ((3, 2, 70000), (0, 2)),
    ((6, 40000), (0,)),
]


of_numpy = pytest.mark.host("NumPy's kernels; those of CUDA are in tests/gpu/test_kernels.py")


def numpy_version(kernel):
    return next(f for backend, _, f in kernel.implementations if backend.name == 'numpy')


@of_numpy
@pytest.mark.parametrize('shape, axis', CASES)
@pytest.mark.parametrize('dtype, tolerance', [('d', 1e-9), ('f', 2e-4)])
def test_kernels_equal_their_references(shape, axis, dtype, tolerance):
    rng = np.random.default_rng(0)
    keys = tuple(n for i, n in enumerate(shape) if i not in axis)
    x, gy = [(rng.standard_normal(shape) + offset).astype(dtype) for offset in (3, 0)]
    gamma, beta = [rng.standard_normal(keys).astype(dtype) for _ in range(2)]
    _, mean, var = kernels.batch_normalize.reference(x, gamma, beta, axis, 1e-5)
    inv_std = ((var + 1e-5) ** -0.5).astype(dtype)  # NumPy 1 makes float64 of one number
    for kernel, args in [
        (kernels.moments, (x, axis)),
        (kernels.batch_normalize, (x, gamma, beta, axis, 1e-5)),
        (kernels.normalize, (x, gamma, beta, mean, inv_std, axis)),
        (kernels.normalize_grad, (gy, x, gamma, mean, inv_std, axis, False)),
        (kernels.normalize_grad, (gy, x, gamma, mean, inv_std, axis, True)),
    ]:
        results, expected = numpy_version(kernel)(*args), kernel.reference(*args)
        for a, b in zip(results, expected) if isinstance(results, tuple) else [(results, expected)]:
            assert a.shape == b.shape and a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=tolerance * 10, atol=tolerance * abs(b).max())


@of_numpy
@pytest.mark.parametrize('outlier', [0, 1e4])
def test_variance_in_one_pass_is_accurate_for_a_large_mean_and_an_odd_first_sample(outlier):
    x = (np.random.default_rng(0).standard_normal((64, 8, 5)) + 1000).astype('f')
    x[0] += outlier
    mean, var = numpy_version(kernels.moments)(x, (0, 2))
    np.testing.assert_allclose(mean, x.astype('d').mean((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype('d').var((0, 2)), rtol=1e-4)


def test_running_statistics_move_towards_the_batch(device):
    x, xp = np.random.default_rng(0).standard_normal((6, 3, 2)).astype('f'), device.xp
    gamma, beta, mean, var = xp.ones(3, 'f'), xp.zeros(3, 'f'), xp.full(3, 2, 'f'), xp.full(3, 5, 'f')
    y = F.batch_normalization(
        chainlite.Variable(device.send(x)), gamma, beta, running_mean=mean, running_var=var, decay=0.8
    )
    assert y.creator.running_mean is mean and y.creator.running_var is var
    np.testing.assert_allclose(to_cpu(mean), 0.8 * 2 + 0.2 * x.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(to_cpu(var), 0.8 * 5 + 0.2 * x.var((0, 2), ddof=1), rtol=1e-5)


def test_a_single_sample_is_warned_of(xp):
    with pytest.warns(UserWarning, match='no more than one sample'):
        F.batch_normalization(xp.ones((1, 3), 'f'), xp.ones(3, 'f'), xp.zeros(3, 'f'))


def test_batch_renormalization_needs_running_statistics(xp):
    with pytest.raises(TypeError, match='running_mean is required'):
        F.batch_renormalization(xp.ones((2, 3), 'f'), xp.ones(3, 'f'), xp.zeros(3, 'f'), 1, 0)


def test_gradient_of_batch_renormalization_takes_its_corrections_as_constants(device):
    rng, xp = np.random.default_rng(0), device.xp
    x, gamma, beta, gy = [chainlite.Variable(device.send(rng.standard_normal(s))) for s in ((6, 3), 3, 3, (6, 3))]
    statistics = dict(running_mean=xp.array([0.3, -0.5, 0.1]), running_var=xp.array([0.5, 2, 1]))
    y = F.batch_renormalization(x, gamma, beta, 1.3, 0.2, **statistics)
    node = y.creator
    expected = F.batch_normalization(x, gamma * node.r, beta + gamma * node.d)
    np.testing.assert_allclose(to_cpu(y.array), to_cpu(expected.array), rtol=1e-10)
    found, wanted = [chainlite.grad([v], [x, gamma, beta], [gy]) for v in (y, expected)]
    for a, b in zip(found, wanted):
        np.testing.assert_allclose(to_cpu(a.array), to_cpu(b.array), rtol=1e-9)


def test_decorrelated_channels_have_the_identity_as_covariance(device):
    x = np.random.default_rng(0).standard_normal((50, 4, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0], [0.2, 0, 1]])
    mean, projection = device.xp.zeros((2, 2)), device.xp.zeros((2, 2, 2))
    y = F.decorrelated_batch_normalization(
        device.send(x), groups=2, eps=1e-9, running_mean=mean, running_projection=projection, decay=0
    )
    for group in range(2):
        channels = to_cpu(y.array)[:, group * 2 : group * 2 + 2].transpose(1, 0, 2).reshape(2, -1)
        np.testing.assert_allclose(np.cov(channels, bias=True), np.eye(2), atol=1e-6)
    np.testing.assert_allclose(to_cpu(mean), x.mean((0, 2)).reshape(2, 2), rtol=1e-10)
    again = F.fixed_decorrelated_batch_normalization(device.send(x), mean, projection, groups=2)
    np.testing.assert_allclose(to_cpu(again.array) * 149 / 150, to_cpu(y.array), rtol=1e-9, atol=1e-9)


def test_length_zero_has_finite_gradients(xp):
    x = chainlite.Variable(xp.array([[3, 4], [0, 0]], 'd'))
    gx = chainlite.grad([F.normalize(x)], [x], enable_double_backprop=True)[0]
    np.testing.assert_allclose(to_cpu(gx.array[1]), 1e5)
    ggx = chainlite.grad([F.sum(gx * gx)], [x])[0]
    np.testing.assert_allclose(to_cpu(ggx.array[1]), 0)


@pytest.mark.parametrize(
    'call, error, message',
    [
        (
            lambda x, g: F.batch_normalization(x, g(4), g(4)),
            InvalidType,
            r'in_types\[0\].shape\[1\] == in_types\[1\].shape\[0\]',
        ),
        (lambda x, g: F.batch_normalization(x, g(3), g(4)), InvalidType, r'in_types\[1\].shape == in_types\[2\].shape'),
        (
            lambda x, g: F.batch_normalization(x, g(3), g(3).astype('d')),
            InvalidType,
            r'in_types\[1\].dtype == in_types\[2\].dtype',
        ),
        (lambda x, g: F.batch_normalization(x, g(3), g(3), axis=(2, 0)), RuntimeError, 'sorted in ascending order'),
        (
            lambda x, g: F.batch_normalization(x, g(3), g(3), train=True),
            ValueError,
            'train argument is not supported anymore',
        ),
        (lambda x, g: F.batch_normalization(x, g(3), g(3), foo=1), TypeError, "unexpected keyword argument.* 'foo'"),
        (
            lambda x, g: F.fixed_batch_normalization(x, g(3), g(3), g(4), g(3)),
            InvalidType,
            r'in_types\[3\].shape == in_types\[1\].shape',
        ),
        (
            lambda x, g: F.group_normalization(x, 2, g(3), g(3)),
            ValueError,
            "number of channels 3 is not divisible by 'groups' argument 2",
        ),
        (lambda x, g: F.group_normalization(x, 1.0, g(3), g(3)), TypeError, "'groups' type must be"),
        (
            lambda x, g: F.group_normalization(x, 3, g(4), g(4)),
            InvalidType,
            r'in_types\[0\].shape\[1\] == in_types\[1\].shape\[0\]',
        ),
        (lambda x, g: F.layer_normalization(x, g(3), g(3)), InvalidType, r'in_types\[0\].ndim == 2'),
        (
            lambda x, g: F.layer_normalization(x[:, :, 0], g(3), g(3).astype('d')),
            InvalidType,
            r'in_types\[2\].dtype == in_types\[0\].dtype',
        ),
        (lambda x, g: F.local_response_normalization(x[:, 0, 0]), InvalidType, r'in_types\[0\].ndim >= 2'),
        (lambda x, g: F.normalize(x.astype('i')), InvalidType, r'in_types\[0\].dtype.kind == f'),
    ],
)
def test_bad_input_is_refused(xp, call, error, message):
    with pytest.raises(error, match=message):
        call(xp.zeros((2, 3, 4), 'f'), lambda n: xp.zeros(n, 'f'))
