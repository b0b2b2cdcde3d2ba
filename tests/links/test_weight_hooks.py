"""Spectral normalization and weight standardization."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import gradient_check, serializers
from chainlite.backends.cuda import to_cpu
from chainlite.link_hooks import SpectralNormalization, WeightStandardization

W = np.arange(12, dtype=np.float32).reshape(3, 4) / 10
X = np.ones((2, 4), np.float32)


def linear(device, hook, seed=1):
    link = L.Linear(4, 3, initialW=W)
    np.random.seed(seed)
    return link.add_hook(hook).to_device(device)


# Printed by Chainer 7.8.1: a row of the first output in training mode, u after it, and a row in test mode.
CHAINER = [
    ({}, [0.27566198, 1.0107605, 1.7458591], [-0.1279432, -0.4939765, -0.8600098], [0.26774672, 0.981738, 1.6957293]),
    (
        {'factor': 2.0},
        [0.55132395, 2.021521, 3.4917183],
        [-0.1279432, -0.4939765, -0.8600098],
        [0.53549343, 1.963476, 3.3914585],
    ),
    (
        {'use_gamma': True},
        [0.6177392, 2.2650435, 3.9123478],
        [-0.1279432, -0.4939765, -0.8600098],
        [0.60000163, 2.200006, 3.8000102],
    ),
    (
        {'n_power_iteration': 3, 'eps': 1e-3},
        [0.2679851, 0.982612, 1.697239],
        [-0.14723966, -0.5000517, -0.8528638],
        [0.26798514, 0.9826122, 1.6972392],
    ),
    (
        {'use_gamma': True, 'factor': 0.5},
        [0.3088696, 1.1325217, 1.9561739],
        [-0.1279432, -0.4939765, -0.8600098],
        [0.30000082, 1.100003, 1.9000051],
    ),
]


@pytest.mark.parametrize('arguments, y, u, test_y', CHAINER)
def test_spectral_normalization_is_chainers(device, arguments, y, u, test_y):
    link, x = linear(device, SpectralNormalization(**arguments)), device.send(X)
    np.testing.assert_allclose(to_cpu(link(x).array[0]), y, rtol=1e-5)
    np.testing.assert_allclose(to_cpu(link.W_u), u, rtol=1e-5)
    with chainlite.using_config('train', False):
        np.testing.assert_allclose(to_cpu(link(x).array[0]), test_y, rtol=1e-5)
    np.testing.assert_allclose(to_cpu(link.W_u), u, rtol=1e-5)


@pytest.mark.parametrize(
    'make, x',
    [
        (lambda: L.Linear(6, 4), np.ones((1, 6), np.float32)),
        (lambda: L.Linear(None, 4), np.ones((1, 6), np.float32)),
        (lambda: L.EmbedID(4, 6), np.zeros(1, np.int32)),
        (lambda: L.Convolution1D(None, 4, 2), np.ones((1, 3, 5), np.float32)),
        (lambda: L.Convolution2D(3, 4, 2), np.ones((1, 3, 5, 5), np.float32)),
        (lambda: L.Convolution3D(None, 4, 2), np.ones((1, 3, 3, 3, 3), np.float32)),
        (lambda: L.Deconvolution2D(3, 4, 2), np.ones((1, 3, 5, 5), np.float32)),
        (lambda: L.Deconvolution1D(None, 4, 2), np.ones((1, 3, 5), np.float32)),
    ],
)
def test_the_largest_singular_value_becomes_one(device, make, x):
    hook = SpectralNormalization(n_power_iteration=100)
    link = make().to_device(device)
    link.add_hook(hook)
    link(device.send(x))
    normalized = to_cpu(hook.reshape_W(hook.normalize_weight(link)).array)
    assert normalized.shape[0] == len(link.W_u) == 4
    assert np.linalg.svd(normalized, compute_uv=False)[0] == pytest.approx(1, rel=1e-3)


def test_gamma_starts_as_the_largest_singular_value(device):
    link = linear(device, SpectralNormalization(use_gamma=True))
    assert float(link.gamma.array) == pytest.approx(np.linalg.svd(W, compute_uv=False)[0])
    assert sorted(name for name, _ in link.namedparams()) == ['/W', '/b', '/gamma']


def test_the_parameter_is_back_after_the_call_and_learns(device):
    link = linear(device, SpectralNormalization(use_gamma=True))
    weight = link.W
    link.cleargrads()
    F.sum(link(device.send(X))).backward()
    assert link.W is weight and '/W' in dict(link.namedparams())
    # Printed by Chainer 7.8.1.
    np.testing.assert_allclose(
        to_cpu(weight.grad),
        [
            [1.612735, 1.6451434, 1.6775517, 1.7099602],
            [0.3356403, 0.460766, 0.5858916, 0.7110175],
            [-0.9414542, -0.7236114, -0.5057685, -0.2879252],
        ],
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    'cls, arguments',
    [(SpectralNormalization, dict(use_gamma=True, factor=2.0)), (WeightStandardization, dict(eps=0.1))],
)
def test_gradients_reach_the_weight(device, cls, arguments):
    hook = cls(**arguments)
    link = L.Linear(4, 3, initialW=chainlite.initializers.Normal(1, np.float64), initial_bias=np.zeros(3))
    link.b.array = link.b.array.astype(np.float64)
    link.add_hook(hook).to_device(device)
    x, gy = device.send((np.random.RandomState(0).rand(2, 4), np.ones((2, 3))))
    with chainlite.using_config('train', False):
        if isinstance(hook, SpectralNormalization):
            link.W_u = link.W_u.astype(np.float64)
            hook.n_power_iteration = 200  # u and v then are the singular vectors, and their gradients cancel
        gradient_check.check_backward(link, x, gy, [link.W], dtype=np.float64, atol=1e-4, rtol=1e-3)


def test_recomputing_takes_the_same_weight(device):
    link, x = linear(device, SpectralNormalization()), device.send(X)
    y, u = to_cpu(link(x).array), to_cpu(link.W_u).copy()
    with chainlite.using_config('in_recomputing', True):
        np.testing.assert_allclose(to_cpu(link(x).array), y, rtol=1e-6)
    np.testing.assert_array_equal(to_cpu(link.W_u), u)


def test_the_vector_is_saved_with_the_link(device, tmp_path):
    link, other = linear(device, SpectralNormalization()), linear(device, SpectralNormalization(), seed=2)
    link(device.send(X))
    serializers.save_npz(tmp_path / 'link.npz', link)
    serializers.load_npz(tmp_path / 'link.npz', other)
    np.testing.assert_array_equal(to_cpu(other.W_u), to_cpu(link.W_u))


def test_a_deleted_hook_leaves_nothing(device):
    link, x = linear(device, SpectralNormalization(use_gamma=True)), device.send(X)
    link(x)
    link.delete_hook('SpectralNormalization')
    assert not hasattr(link, 'W_u') and not hasattr(link, 'gamma') and link._persistent == set()
    np.testing.assert_allclose(to_cpu(link(x).array), X @ W.T, rtol=1e-6)


@pytest.mark.parametrize(
    'make, x, axes',
    [
        (lambda: L.Linear(None, 4), np.ones((1, 6), np.float32), (1,)),
        (lambda: L.Convolution2D(3, 4, 2), np.ones((1, 3, 5, 5), np.float32), (1, 2, 3)),
    ],
)
def test_weight_standardization_gives_each_row_mean_0_and_variance_1(device, make, x, axes):
    hook = WeightStandardization()
    link = make().add_hook(hook).to_device(device)
    link(device.send(x))
    weight = to_cpu(hook.transform(link).array)
    np.testing.assert_allclose(weight.mean(axes), 0, atol=1e-6)
    np.testing.assert_allclose(weight.var(axes), 1, rtol=1e-2)
    assert not np.allclose(to_cpu(link.W.array).var(axes), 1, rtol=1e-2)


def test_weight_standardization_is_chainers(device):
    weight = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) ** 2
    link = L.Deconvolution2D(2, 3, 2, initialW=weight).add_hook(WeightStandardization(eps=1e-2))
    y = link.to_device(device)(device.xp.ones((1, 2, 1, 1), np.float32))
    # Printed by Chainer 7.8.1.
    np.testing.assert_allclose(
        to_cpu(y.array).ravel(),
        [
            -2.5060039,
            -2.274497,
            -1.9757514,
            -1.6097665,
            -1.1765425,
            -0.6760793,
            -0.10837702,
            0.52656436,
            1.228745,
            1.9981645,
            2.8348231,
            3.7387211,
        ],
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('cls', [SpectralNormalization, WeightStandardization])
def test_weight_hooks_are_for_one_link_with_a_weight(cls):
    with pytest.raises(NotImplementedError, match='not supposed to be used as context manager'):
        with cls():
            pass
    with pytest.raises(ValueError, match="Weight 'V' does not exist!"):
        L.Linear(2, 2).add_hook(cls(weight_name='V'))
    assert cls(name='mine').name == 'mine'


@pytest.mark.host('texts of errors')
def test_bad_arguments_of_spectral_normalization():
    with pytest.raises(AssertionError, match='n_power_iteration must be positive'):
        SpectralNormalization(n_power_iteration=0)
    with pytest.raises(ValueError, match=r'the weight must not be empty, but has shape \(0, 10\)'):
        L.Linear(10, 0).add_hook(SpectralNormalization())
