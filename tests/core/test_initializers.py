"""Initializers: the values that Chainer draws, what the formulas promise, and arguments."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from comparing import assert_allclose, host

from chainlite import initializers as I
from chainlite import utils
from chainlite.configuration import mixed16, using_config
from chainlite.initializer import Initializer, get_fans

_spec = importlib.util.spec_from_file_location('chainer_values', Path(__file__).with_name('chainer_values.py'))
chainer_values = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chainer_values)


@pytest.fixture(scope='module')
def stored():
    with np.load(chainer_values.FILE) as values:
        return dict(values)


@pytest.fixture(scope='module')
def ours():
    return {**chainer_values.initializer_values(I), **chainer_values.alias_values(utils)}


@pytest.mark.host('CuPy draws by a generator of its own')
def test_the_same_cases_are_stored(stored, ours):
    assert stored.keys() == ours.keys()


@pytest.mark.host('CuPy draws by a generator of its own')
@pytest.mark.parametrize('name', [*chainer_values.NAMES, *chainer_values.FILTERS, 'WalkerAlias'])
def test_a_seed_gives_chainers_values(stored, ours, name):
    for key in stored:
        if key.split()[0] == name:
            # QR decompositions of different LAPACKs differ in the last bits.
            ulps = 4 if name == 'Orthogonal' else 0
            assert stored[key].dtype == ours[key].dtype
            scale = 1.1 * np.finfo(ours[key].dtype).eps if ulps else 0
            assert_allclose(ours[key], stored[key], rtol=0, atol=ulps * scale, err_msg=key)


@pytest.mark.parametrize('name', chainer_values.FILTERS)
def test_filters_are_chainers_on_every_device(xp, stored, name):
    for shape in chainer_values.SHAPES[name]:
        for dtype in 'efd':
            w = I.generate_array(getattr(I, name)(), shape, xp, dtype)
            assert_allclose(w, stored[chainer_values.key(name, shape, dtype)], rtol=1e-3 if dtype == 'e' else 1e-7)


@pytest.mark.parametrize('shape, rows', [((3, 5), 3), ((5, 3), 5), ((4, 2, 3), 4), ((3, 3), 3)])
def test_orthogonal_matrices_are_orthogonal(xp, shape, rows):
    w = xp.empty(shape, 'd')
    I.Orthogonal(scale=2.0, rng=xp.random.RandomState(3))(w)
    w = host(w).reshape(rows, -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    assert_allclose(product, 4 * np.eye(len(product)), atol=1e-13)


@pytest.mark.parametrize(
    'mode, shape, ok',
    [
        *(('projection', (2, 3), True), ('projection', (3, 2), False), ('projection', (3, 3), True)),
        *(('embedding', (2, 3), False), ('embedding', (3, 2), True), ('embedding', (4, 2, 2), True)),
        *(('basis', (2, 3), False), ('basis', (2, 2), True)),
    ],
)
def test_orthogonal_modes_demand_shapes(xp, mode, shape, ok):
    w = xp.empty(shape, 'f')
    if ok:
        I.Orthogonal(mode=mode)(w)
    else:
        with pytest.raises(ValueError, match=f'Cannot make orthogonal {mode}. shape = .*-dim input and'):
            I.Orthogonal(mode=mode)(w)


@pytest.mark.parametrize(
    'initializer, deviation',
    [
        (I.Normal(0.3), 0.3),
        (I.LeCunNormal(2), 2 / 30**0.5),
        (I.GlorotNormal(), (2 / 230) ** 0.5),
        (I.HeNormal(), (2 / 30) ** 0.5),
        (I.HeNormal(fan_option='fan_out'), (2 / 200) ** 0.5),
        (I.Uniform(0.3), 0.3 / 3**0.5),
        (I.LeCunUniform(), 1 / 30**0.5),
        (I.GlorotUniform(2), 2 * (2 / 230) ** 0.5),
        (I.HeUniform(), (2 / 30) ** 0.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_deviation_is_that_of_the_formula(xp, initializer, deviation):
    initializer.rng = np.random.default_rng(0) if xp is np else xp.random.RandomState(0)
    draws = xp.empty((300, 40, 6, 5))
    for w in draws:
        initializer(w)
    assert abs(draws.mean()) < 0.01 * deviation
    assert_allclose(float(draws.std()), deviation, rtol=0.01)


@pytest.mark.parametrize('cls', [getattr(I, name) for name in chainer_values.NAMES])
def test_a_random_state_of_its_own_leaves_the_global_one_alone(xp, cls):
    np.random.seed(0)
    xp.random.seed(0)
    expected = xp.random.rand(3)
    xp.random.seed(0)
    before = np.random.get_state()[1].copy()
    a, b = xp.empty((3, 4), 'f'), xp.empty((3, 4), 'f')
    cls(rng=xp.random.RandomState(5))(a)
    cls(rng=xp.random.RandomState(5))(b)
    assert (np.random.get_state()[1] == before).all()
    assert (xp.random.rand(3) == expected).all()
    assert (a == b).all() and a.std() > 0


def test_constants_and_identity(xp):
    w = xp.empty((2, 3), 'f')
    for initializer, value in [
        (I.Zero(), 0),
        (I.One(), 1),
        (I.Constant(3), 3),
        (I.Constant(np.arange(3)), xp.arange(3)),
        (I.Constant(xp.arange(3)), xp.arange(3)),
    ]:
        initializer(w)
        assert (w == value).all()
    I.NaN()(w)
    assert xp.isnan(w).all()
    count = xp.zeros(2, 'i')
    I.NaN()(count)
    assert (count == np.iinfo('i').min).all()
    w = xp.empty((3, 3), 'e')
    I.Identity(scale=2)(w)
    assert w.tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    for shape in [(2, 3), (2, 2, 2)]:
        with pytest.raises(ValueError, match='2D squared'):
            I.Identity()(xp.empty(shape))


@pytest.mark.host('shapes alone')
def test_fans():
    assert get_fans((2, 3, 4, 5)) == (60, 40)
    for initializer in (I.HeNormal(), I.GlorotUniform(), get_fans):
        with pytest.raises(ValueError, match=r'shape must be of length >= 2. Actual shape: \(3,\)'):
            initializer((3,)) if initializer is get_fans else initializer(np.empty(3))


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize(
    'make, error, message',
    [
        (lambda: I.Orthogonal(mode='x'), ValueError, 'Invalid mode'),
        (lambda: I.Orthogonal()(np.empty((0, 2))), ValueError, 'must be non-empty'),
        (lambda: I.HeNormal(fan_option='x')(np.empty((2, 2))), ValueError, 'fan_option should be'),
        (lambda: I.Normal(foo=1), TypeError, 'foo'),
        (lambda: I.UpsamplingDeconvFilter('nearest'), ValueError, 'Unsupported interpolation method: nearest'),
        (lambda: I.UpsamplingDeconvFilter()(np.empty((2, 2, 4, 3))), ValueError, 'ksize must be all same: 4 != 3'),
        (lambda: I.UpsamplingDeconvFilter()(np.empty((2, 3, 4, 4))), AssertionError, None),
        (lambda: I.Normal(dtype='f')(np.empty(2)), AssertionError, 'float64 != f'),
        (lambda: Initializer()(np.empty(2)), NotImplementedError, None),
        (lambda: I._get_initializer([1]), TypeError, 'invalid type of initializer'),
        (lambda: I.generate_array(I.One('d'), 3, np, dtype='f'), ValueError, 'dtype mismatch: f != d'),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_generate_array_chooses_the_dtype(xp, device):
    assert I.generate_array(I.One(), 3, xp).dtype == np.float32
    assert I.generate_array(I.One('d'), (3,), xp).dtype == np.float64
    assert I.generate_array(I.One(), (3,), xp, dtype='e', device=device).dtype == np.float16
    assert I.generate_array(I.One(mixed16), (), xp).dtype == np.float16
    with using_config('dtype', 'd'):
        assert I.generate_array(lambda a: a.fill(2), (3,), xp).tolist() == [2, 2, 2]
        assert I.generate_array(I.Zero(), (3,), xp).dtype == np.float64


def test_links_arguments_become_initializers(xp):
    assert isinstance(I._get_initializer(None), I.LeCunNormal)
    assert I._get_initializer(3).fill_value == 3
    assert isinstance(I._get_initializer(xp.ones(2)), I.Constant)
    assert I._get_initializer(len) is len


@pytest.mark.parametrize('name', ['Normal', 'HeUniform', 'Orthogonal', 'One', 'UpsamplingDeconvFilter'])
def test_bfloat16_arrays_are_filled(xp, name):
    pytest.importorskip('ml_dtypes')
    values = []
    for dtype in ('bfloat16', 'float32'):
        xp.random.seed(0)
        values.append(I.generate_array(getattr(I, name)(dtype=dtype), (2, 2, 4, 4), xp))
    assert values[0].dtype.name == 'bfloat16'
    assert_allclose(host(values[0]).astype('f'), values[1], rtol=2**-8)
