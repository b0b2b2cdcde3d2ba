"""Predictions leave convolutions to be computed with what comes next; nobody can tell but by the time it takes.

Everything is compared with the same functions under a hook, where each computes its result at once, and with float64.
"""

import copy
import pickle
import threading

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import FunctionHook, Variable
from chainlite.backends import onednn
from chainlite.backends._deferred import Convolved, Deferred
from chainlite.backends.onednn import _threads

pytestmark = pytest.mark.host('oneDNN is of the CPU')


class Hook(FunctionHook):
    """Sees everything, so that nothing can be left for later."""


@pytest.fixture(autouse=True)
def prediction(library):
    with chainlite.no_backprop_mode(), chainlite.using_config('train', False):
        yield


@pytest.fixture
def convolutions(monkeypatch):
    """For what oneDNN was called: (whether it is normalized, whether something is added) each time."""
    calls = []
    convolve = onednn.conv._convolve

    def spy(x, W, filter, b, window, outs, what_follows, others):
        calls.append(what_follows)
        return convolve(x, W, filter, b, window, outs, what_follows, others)

    monkeypatch.setattr(onednn.conv, '_convolve', spy)
    return calls


class Block:
    """Images of a shape through convolutions and normalizations."""

    def __init__(self, shape, m, ksize=3, stride=1, pad=1, dilate=1, groups=1, bias=False, dtype='f'):
        rng = np.random.default_rng(0)
        ndim = len(shape) - 2
        draw = lambda *shape: rng.standard_normal(shape).astype('f').astype(dtype)  # noqa: E731
        self.window = dict(stride=stride, pad=pad, dilate=dilate, groups=groups)
        self.x, self.z = draw(*shape), draw(*shape)
        self.W, self.V = [Variable(draw(m, shape[1] // groups, *[ksize] * ndim)) for _ in range(2)]
        self.U = Variable(draw(m, m, *[1] * ndim))
        self.b = Variable(draw(m)) if bias else None
        self.gamma, self.beta = Variable(draw(m)), Variable(draw(m))
        self.mean, self.var = draw(m), rng.random(m).astype('f').astype(dtype) + np.array(0.5, dtype)

    def conv(self):
        return F.convolution_nd(self.x, self.W, self.b, **self.window)

    def side(self):
        return F.convolution_nd(self.z, self.V, self.b, **self.window)

    def point(self, x):
        return F.convolution_nd(x, self.U)

    def norm(self, x):
        return F.fixed_batch_normalization(x, self.gamma, self.beta, self.mean, self.var)


SHAPES = {
    'basic': dict(shape=(2, 16, 6, 7), m=16),
    'odd': dict(shape=(3, 5, 6, 6), m=7, bias=True),
    'few': dict(shape=(1, 3, 9, 9), m=16, ksize=5, stride=2, pad=2),
    'strided': dict(shape=(2, 16, 8, 8), m=32, stride=2),
    'dilated': dict(shape=(1, 8, 9, 9), m=8, dilate=2, pad=2),
    'pointwise': dict(shape=(2, 32, 5, 5), m=64, ksize=1, pad=0, bias=True),
    'one_pixel': dict(shape=(2, 16, 1, 1), m=16, ksize=1, pad=0),
    'groups': dict(shape=(2, 16, 6, 6), m=32, groups=4, bias=True),
    'depthwise': dict(shape=(1, 16, 6, 6), m=16, groups=16),
    'long': dict(shape=(1, 256, 5, 5), m=32, bias=True),
    'gray': dict(shape=(2, 1, 8, 8), m=20, ksize=5, pad=0, bias=True),
    '1d': dict(shape=(2, 16, 9), m=16),
    '3d': dict(shape=(1, 8, 4, 4, 4), m=16, bias=True),
}

FORMS = {
    'conv': lambda b: b.conv(),
    'bn': lambda b: b.norm(b.conv()),
    'relu': lambda b: F.relu(b.conv()),
    'bn_relu': lambda b: F.relu(b.norm(b.conv())),
    'add': lambda b: b.conv() + b.side(),
    'add_relu': lambda b: F.relu(b.side() + b.conv()),
    'bn_add': lambda b: b.norm(b.conv()) + b.side(),
    'bn_add_relu': lambda b: F.relu(b.side() + b.norm(b.conv())),
    'two': lambda b: F.relu(b.norm(b.conv()) + b.norm(b.side())),
    'residual': lambda b: (lambda h: F.relu(b.norm(b.point(h)) + h))(F.relu(b.norm(b.conv()))),
    'plain_residual': lambda b: (lambda h: F.relu(b.norm(b.conv()) + h))(F.tanh(F.tanh(b.side().array))),
    'broadcast': lambda b: F.relu(b.norm(b.conv()) + F.sum(b.side(), axis=0, keepdims=True)),
    'twice': lambda b: (lambda h: F.relu(h) + F.sigmoid(h))(b.norm(b.conv())),
    'relu_of_both': lambda b: (lambda h: F.relu(h) * F.relu(h + b.side()))(b.conv()),
    'itself': lambda b: (lambda h: F.relu(h + h))(b.norm(b.conv())),
    'copied': lambda b: (lambda h: F.relu(h + copy.copy(h)))(b.norm(b.conv())),
    'bn_bn': lambda b: F.relu(b.norm(b.norm(b.conv()))),
    'relu_bn': lambda b: b.norm(F.relu(b.conv())),
    'add_bn': lambda b: b.norm(b.conv() + b.side()),
    'three': lambda b: F.relu(b.norm(b.conv()) + b.side() + b.side()),
    'batch': lambda b: F.relu(F.batch_normalization(b.conv(), b.gamma, b.beta)),
}


def assert_close(actual, expected, tolerance=2e-6):
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, 0, tolerance * scale)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('shape', SHAPES)
def test_results_are_those_of_separate_functions(shape, form):
    if form == 'batch' and shape == 'one_pixel':
        shape = 'pointwise'  # two pixels have only one variance
    y = FORMS[form](Block(**SHAPES[shape])).array
    with Hook():
        assert_close(y, FORMS[form](Block(**SHAPES[shape])).array)
    assert_close(y, FORMS[form](Block(**SHAPES[shape], dtype='d')).array, 5e-6)
    assert y.flags.c_contiguous and y.dtype == 'f'


@pytest.mark.parametrize('form', ['relu', 'bn_relu', 'add_relu', 'bn_add_relu', 'two'])
@pytest.mark.parametrize('shape', ['basic', 'odd'])
def test_what_onednn_cannot_do_well_follows_separately(shape, form, monkeypatch):
    forward_then = onednn.conv._Shapes.forward_then
    monkeypatch.setattr(onednn.conv._Shapes, 'forward_then', lambda *args: (forward_then(*args)[0] and None, []))
    _threads._thread.cached.cache_clear()
    y = FORMS[form](Block(**SHAPES[shape])).array
    _threads._thread.cached.cache_clear()
    with Hook():
        assert_close(y, FORMS[form](Block(**SHAPES[shape])).array)


def test_gradients_that_are_convolutions_are_computed():
    class Twice(chainlite.FunctionNode):
        def forward(self, inputs):
            return (2 * inputs[0],)

        def backward(self, indexes, gys):
            return (F.relu(F.convolution_2d(gys[0], W, pad=1)),)

    rng = np.random.default_rng(0)
    x, gy, W = [rng.standard_normal(shape).astype('f') for shape in ((2, 8, 5, 5), (2, 8, 5, 5), (8, 8, 3, 3))]
    with chainlite.force_backprop_mode():
        x = Variable(x)
        (y,) = Twice().apply((F.tanh(x),))
        y.grad = gy
        y.backward()
    with Hook():
        gx = F.relu(F.convolution_2d(gy, W, pad=1)).array
    assert_close(x.grad, gx * (1 - np.tanh(x.array) ** 2))


# -- what is computed when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('form', 'expected'),
    [
        ('conv', [(False, False)]),
        ('relu', [(False, False)]),
        ('bn_relu', [(True, False)]),
        ('add_relu', [(False, False), (False, True)]),
        ('bn_add_relu', [(True, False), (False, True)]),
        ('two', [(True, False), (True, True)]),
        ('residual', [(True, False), (True, True)]),
        ('broadcast', [(False, False), (True, False)]),
        ('batch', [(False, False)]),
        # The convolution is needed by itself.
        ('twice', [(True, False)]),
        ('itself', [(True, False)]),
        ('copied', [(True, False)]),
        ('relu_of_both', [(False, False), (False, True)]),
    ],
)
@pytest.mark.parametrize('shape', ['basic', 'odd', 'long'])
def test_one_operation_does_all(form, expected, shape, convolutions):
    FORMS[form](Block(**SHAPES[shape])).array
    assert sorted(convolutions) == sorted(expected)


def test_what_nobody_asks_for_is_not_computed(convolutions):
    block = Block(**SHAPES['strided'])
    h = block.norm(block.conv())
    y = F.relu(h)
    assert y.shape == (2, 32, 4, 4) and y.dtype == 'f' and (y.ndim, y.size, len(y)) == (4, 1024, 2)
    assert y.device == chainlite.get_device('@numpy') and y.xp is np and y.label == '(2, 32, 4, 4), float32'
    assert convolutions == []


def test_convolutions_of_variables_that_are_still_there_are_computed_once(convolutions):
    """A program that gives each step a name may read it later."""
    block = Block(**SHAPES['basic'])
    x = block.conv()
    h = block.norm(x)
    y = F.relu(h)
    for v in y, h, x:
        v.array
    assert convolutions == [(False, False)]


def test_two_users_of_a_variable_that_is_gone_share_the_convolution(convolutions):
    block = Block(**SHAPES['basic'])
    h = block.conv()
    a, b = F.relu(h), F.relu(-h)
    del h
    y = F.concat([a, b]).array
    assert len(convolutions) == 1
    with Hook():
        h = block.conv()
        assert_close(y, F.concat([F.relu(h), F.relu(-h)]).array)


@pytest.mark.parametrize('looked_at', ['x', 'h', 'sum', 'y'])
@pytest.mark.parametrize('when', range(4))
def test_looking_at_any_time_shows_what_it_is(looked_at, when):
    def steps(block, named):
        yield lambda: named.update(x=block.conv())
        yield lambda: named.update(h=block.norm(named['x']))
        yield lambda: named.update(sum=named['h'] + block.side())
        yield lambda: named.update(y=F.relu(named['sum']))

    expected, named = {}, {}
    with Hook():
        for step in steps(Block(**SHAPES['basic']), expected):
            step()
    for i, step in enumerate(steps(Block(**SHAPES['basic']), named)):
        step()
        if i >= when and looked_at in named:
            assert_close(named[looked_at].array, expected[looked_at].array)
    for name, v in named.items():
        assert_close(v.array, expected[name].array)
        assert v.array.flags.c_contiguous and v.array is v.array


# -- what can be changed meanwhile ------------------------------------------------------------------------------------


CHANGES = {
    'image': lambda b, x, s, h: b.x.fill(7),
    'W': lambda b, x, s, h: b.W.array.fill(7),
    'b': lambda b, x, s, h: b.b.array.fill(7),
    'gamma': lambda b, x, s, h: b.gamma.array.fill(7),
    'beta': lambda b, x, s, h: b.beta.array.fill(7),
    'mean': lambda b, x, s, h: b.mean.fill(7),
    'var': lambda b, x, s, h: b.var.fill(7),
    'x': lambda b, x, s, h: x.array.fill(7),
    'x_assigned': lambda b, x, s, h: setattr(x, 'array', np.full(x.shape, 7, 'f')),
    'side': lambda b, x, s, h: s.array.fill(7),
    'h': lambda b, x, s, h: h.array.fill(7),
}


@pytest.mark.parametrize('shape', ['odd', 'gray', 'pointwise', 'one_pixel'])
@pytest.mark.parametrize('change', CHANGES)
def test_what_is_changed_later_does_not_matter(change, shape):
    results = []
    for hooks in ([Hook()], []):
        block = Block(**{**SHAPES[shape], 'bias': True})
        for hook in hooks:
            hook.__enter__()
        x, s = block.conv(), block.side()
        h = block.norm(x)
        y = F.relu(h + s)
        for hook in hooks:
            hook.__exit__()
        CHANGES[change](block, x, s, h)
        results.append(y.array)
    assert_close(results[1], results[0])


@pytest.mark.parametrize('shape', ['basic', 'one_pixel'])
def test_the_image_in_between_may_be_changed_after_it_was_looked_at(shape):
    results = []
    for hooks in ([Hook()], []):
        block = Block(**SHAPES[shape])
        for hook in hooks:
            hook.__enter__()
        h = F.relu(block.norm(block.conv()))
        y = F.relu(block.point(h) + h)
        for hook in hooks:
            hook.__exit__()
        h.array.fill(7)
        results.append(y.array)
    assert_close(results[1], results[0])


def test_parameters_that_change_between_predictions_count():
    block = Block(**SHAPES['basic'])
    for name in 'W', 'gamma', 'beta', 'mean', 'var', 'x':
        a = getattr(block, name)
        getattr(a, 'array', a)[1] += 0.25
        y = FORMS['bn_add_relu'](block)
        with Hook():
            assert_close(y.array, FORMS['bn_add_relu'](block).array)


def test_in_training_mode_the_statistics_are_those_of_the_batch():
    conv, bn = L.Convolution2D(3, 8, 3), L.BatchNormalization(8)
    x = np.random.default_rng(0).standard_normal((4, 3, 6, 6)).astype('f')
    with chainlite.using_config('train', True):
        y = F.relu(bn(conv(x)))
    h = conv(x).array.astype('d')
    mean, var = h.mean((0, 2, 3), keepdims=True), h.var((0, 2, 3), keepdims=True)
    assert_close(y.array, np.maximum((h - mean) / np.sqrt(var + 2e-5), 0), 5e-6)
    assert_close(bn.avg_mean, 0.1 * mean.ravel())


# -- what is not finite -----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings('ignore::RuntimeWarning')
@pytest.mark.parametrize('shape', ['basic', 'odd', 'long', 'depthwise'])
@pytest.mark.parametrize('form', ['relu', 'bn_relu', 'bn_add_relu'])
@pytest.mark.parametrize(
    'values', [[np.nan], [np.inf], [-np.inf], [3e38], [np.nan, 3e38, -np.inf]], ids=lambda v: '_'.join(map(str, v))
)
def test_what_is_not_finite_stays_so_or_becomes_zero(shape, form, values):
    results = []
    for hooks in ([Hook()], []):
        block = Block(**SHAPES[shape])
        block.x[0, 0].flat[: len(values)] = values
        block.gamma.array[...] = 2
        for hook in hooks:
            hook.__enter__()
        results.append(FORMS[form](block).array)
        for hook in hooks:
            hook.__exit__()
    expected, actual = results
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected))
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    assert_close(np.nan_to_num(actual), np.nan_to_num(expected))


def test_negative_numbers_become_zero_without_a_sign():
    y = FORMS['bn_relu'](Block(**SHAPES['basic'])).array
    assert (y == 0).any() and not np.signbit(y).any()


# -- who looks --------------------------------------------------------------------------------------------------------


def test_hooks_see_every_function_and_all_arrays(convolutions):
    calls = []

    class Recorder(FunctionHook):
        def forward_postprocess(self, function, in_data):
            calls.append((function.label, {type(a) for a in in_data}))

    block = Block(**SHAPES['basic'])
    with Recorder():
        F.relu(block.norm(block.conv()))
    labels = ['ConvolutionND', 'FixedBatchNormalization', 'ReLU']
    assert calls == [(label, {np.ndarray}) for label in labels]
    assert convolutions == [(False, False)]


def test_functions_of_others_are_given_arrays():
    class Double(chainlite.FunctionNode):
        def forward(self, inputs):
            assert type(inputs[0]) is np.ndarray and inputs[0].flags.c_contiguous
            return (2 * inputs[0],)

    block = Block(**SHAPES['basic'])
    y = Double().apply((block.norm(block.conv()),))[0].array
    with Hook():
        assert_close(y, 2 * block.norm(block.conv()).array)


@pytest.mark.parametrize('setting', [('debug', True), ('enable_backprop', True), ('use_ideep', 'never')])
def test_with_other_settings_it_is_computed_at_once(setting):
    block = Block(**SHAPES['basic'])
    with chainlite.using_config(*setting):
        assert not isinstance(block.conv()._hidden, Deferred)


def test_a_setting_that_is_changed_meanwhile_does_not_matter():
    block = Block(**SHAPES['basic'])
    y = F.relu(block.conv())
    with chainlite.using_config('use_ideep', 'never'), chainlite.force_backprop_mode():
        actual = y.array
    with Hook():
        assert_close(actual, F.relu(block.conv()).array)


@pytest.mark.parametrize('form', ['bn', 'relu', 'bn_relu', 'add_relu', 'bn_add_relu'])
def test_a_graph_may_begin_at_it(form):
    """As where layers that stay as they are come before some that learn."""
    results = []
    for dtype in 'f', 'd':
        block = Block(**SHAPES['basic'], dtype=dtype)
        h, side = block.conv(), block.side()
        assert isinstance(h._hidden, Deferred) == (dtype == 'f')
        block.conv, block.side = lambda h=h: h, lambda side=side: side
        with chainlite.force_backprop_mode():
            F.sum(F.square(FORMS[form](block))).backward()
        results.append([v.grad for v in (h, side, block.gamma, block.beta)])
    for actual, expected in zip(*results, strict=True):
        assert (actual is None) == (expected is None)
        if actual is not None:
            assert_close(actual, expected)


@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_have_the_numbers(copied):
    block = Block(**SHAPES['basic'])
    h = block.norm(block.conv())
    assert isinstance(h._hidden, Convolved)
    y = F.relu(h)
    np.testing.assert_array_equal(np.maximum(copied(h).array, 0), copied(y).array)


def test_it_can_be_computed_in_another_thread_and_with_another_number_of_threads():
    block = Block(**SHAPES['long'])
    with Hook():
        expected = FORMS['bn_relu'](block).array
    before = _threads.get_num_threads()
    try:
        for n in 1, 2:
            _threads.set_num_threads(n)
            ys = [FORMS['bn_relu'](block) for _ in range(3)]
            _threads.set_num_threads(3 - n)
            threads = [threading.Thread(target=lambda y=y: y.array) for y in ys[1:]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for y in ys:
                assert_close(y.array, expected)
    finally:
        _threads.set_num_threads(before)


def test_errors_are_raised_at_once():
    block = Block(**SHAPES['basic'])
    with pytest.raises(chainlite.utils.type_check.InvalidType):
        F.convolution_2d(block.x, block.U.array[:, :3])
    h = block.conv()
    with pytest.raises(chainlite.utils.type_check.InvalidType):
        F.fixed_batch_normalization(h, block.gamma.array[:3], block.beta, block.mean, block.var)
    with Hook():
        expected = block.conv().array
    assert_close(h.array, expected)
