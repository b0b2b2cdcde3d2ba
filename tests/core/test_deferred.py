"""Batch normalization leaves its result to be computed with what comes next; nobody can tell but by the time it takes.

Everything is compared with the same functions under a hook, where each computes its result at once, or with float64.
"""

import copy
import pickle
import threading

import numpy as np
import pytest
from comparing import assert_array_equal
from side_by_side import side_by_side

import chainlite
import chainlite.functions as F
from chainlite import FunctionHook, Variable
from chainlite.backends import cpu
from chainlite.backends._deferred import Convolved, Deferred

SHAPE = 4, 5, 6, 6


class Hook(FunctionHook):
    """Sees everything, so that nothing can be left for later."""


@pytest.fixture(params=['onednn', 'numpy', pytest.param('cupy', marks=pytest.mark.gpu)])
def backend(request, monkeypatch):
    """What computes; blocks made in the test are there."""
    if request.param == 'cupy':
        monkeypatch.setattr(Block, 'device', '@cupy:0')
    with chainlite.using_config('use_ideep', 'never' if request.param == 'numpy' else 'auto'):
        yield


@pytest.fixture
def computed(monkeypatch):
    """What the kernels are called for: (whether something is added, whether it is rectified) each time."""
    calls = []
    kernel = cpu.batch_normalization.normalize_then

    def spy(x, numbers, axis, h, rectify, *rest):
        calls.append((h is not None, rectify))
        return kernel(x, numbers, axis, h, rectify, *rest)

    monkeypatch.setattr('chainlite.backends._deferred.normalize_then', spy)
    return calls


def assert_close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(
        *[chainlite.get_device('@numpy').send(a) for a in (actual, expected)], tolerance, tolerance
    )


class Block:
    """Some images through convolutions, a normalization and what comes next, with all that can be looked at."""

    device = '@numpy'

    def __init__(self, dtype='f', train=True, seed=0):
        rng = np.random.default_rng(seed)
        c = SHAPE[1]
        self.x, self.z = [Variable(rng.standard_normal(SHAPE).astype(dtype)) for _ in range(2)]
        self.W, self.V = [Variable(rng.standard_normal((c, c, 3, 3)).astype(dtype) / 5) for _ in range(2)]
        self.gamma, self.beta = [Variable(rng.standard_normal(c).astype(dtype) + 0.5) for _ in range(2)]
        self.mean, self.var = rng.standard_normal(c).astype(dtype), rng.random(c).astype(dtype) + 0.5
        self.gy = rng.standard_normal(SHAPE).astype(dtype)
        self.train = train
        device = chainlite.get_device(self.device)
        for v in self.inputs:
            v.to_device(device)
        self.send = device.send
        self.mean, self.var, self.gy = map(device.send, (self.mean, self.var, self.gy))

    @property
    def inputs(self):
        return self.x, self.z, self.W, self.V, self.gamma, self.beta

    def conv(self):
        return F.convolution_2d(self.x, self.W, pad=1)

    def side(self):
        return F.convolution_2d(self.z, self.V, pad=1)

    def norm(self, x):
        if self.train:
            return F.batch_normalization(x, self.gamma, self.beta, running_mean=self.mean, running_var=self.var)
        return F.fixed_batch_normalization(x, self.gamma, self.beta, self.mean, self.var)

    def gradients(self, y):
        for v in self.inputs:
            v.cleargrad()
        y.grad = self.gy
        y.backward()
        return [None if v.grad is None else v.grad.copy() for v in self.inputs]


FORMS = {
    'bn': lambda b: b.norm(b.conv()),
    'relu': lambda b: F.relu(b.norm(b.conv())),
    'left': lambda b: b.norm(b.conv()) + b.side(),
    'right': lambda b: b.side() + b.norm(b.conv()),
    'left_relu': lambda b: F.relu(b.norm(b.conv()) + b.side()),
    'right_relu': lambda b: F.relu(b.side() + b.norm(b.conv())),
    'two': lambda b: F.relu(b.norm(b.conv()) + b.norm(b.side())),
    'residual': lambda b: (lambda h: F.relu(b.norm(F.convolution_2d(h, b.V, pad=1)) + h))(F.relu(b.norm(b.conv()))),
    'relu_add': lambda b: F.relu(b.norm(b.conv())) + b.side(),
    'twice': lambda b: (lambda h: F.relu(h) + F.sigmoid(h))(b.norm(b.conv())),
    'relu_of_both': lambda b: (lambda h: F.relu(h) * F.relu(h + b.side()))(b.norm(b.conv())),
    'itself': lambda b: (lambda h: F.relu(h + h))(b.norm(b.conv())),
    'broadcast': lambda b: F.relu(b.norm(b.conv()) + F.sum(b.side(), axis=0, keepdims=True)),
    'pooled': lambda b: F.relu(b.norm(F.max_pooling_2d(b.conv(), 3, 1, 1))),
    'bn_bn': lambda b: F.relu(b.norm(b.norm(b.conv()))),
    'relu_relu': lambda b: F.relu(F.relu(b.norm(b.conv()))),
    'three': lambda b: F.relu(b.norm(b.conv()) + b.side() + b.side()),
}


@pytest.mark.parametrize('train', [True, False], ids=['batch', 'fixed'])
@pytest.mark.parametrize('form', FORMS)
def test_results_and_gradients_are_those_of_separate_functions(form, train, backend):
    fused, apart = Block(train=train), Block(train=train)
    y = FORMS[form](fused)
    gradients = fused.gradients(y)
    with Hook():
        expected = FORMS[form](apart)
        expected_gradients = apart.gradients(expected)
    assert_close(y.array, expected.array)
    for gx, other in zip(gradients, expected_gradients, strict=True):
        assert (gx is None) == (other is None)
        if gx is not None:
            assert_close(gx, other, 2e-4)
    assert_close(fused.mean, apart.mean, 1e-5)
    assert_close(fused.var, apart.var)


@pytest.mark.parametrize('train', [True, False], ids=['batch', 'fixed'])
@pytest.mark.parametrize('form', ['relu', 'left_relu', 'two', 'residual', 'twice'])
def test_gradients_are_those_of_differences(form, train, backend):
    wide = Block('d', train)
    gradients = wide.gradients(FORMS[form](wide))
    narrow = Block(train=train)
    for gx, expected in zip(narrow.gradients(FORMS[form](narrow)), gradients, strict=True):
        if gx is not None:
            assert_close(gx, expected, 1e-3)
    rng = np.random.default_rng(3)
    for i, gx in enumerate(gradients):
        if gx is None:
            continue
        direction = wide.send(rng.standard_normal(gx.shape))
        values = []
        for step in 1e-6, -1e-6:
            block = Block('d', train)
            block.inputs[i].array[...] += step * direction
            values.append((FORMS[form](block).array * block.gy).sum())
        assert_close((gx * direction).sum(), (values[0] - values[1]) / 2e-6, 1e-5)


# -- what is computed when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('form', 'expected'),
    [
        ('relu', [(False, True)]),
        ('left_relu', [(True, True)]),
        ('right_relu', [(True, True)]),
        ('left', [(True, False)]),
        ('two', [(False, False), (True, True)]),
        ('residual', [(False, True), (True, True)]),
    ],
)
def test_one_kernel_does_all(form, expected, computed, backend):
    block = Block()
    y = FORMS[form](block)
    y.array
    assert computed == expected
    block.gradients(y)
    assert computed == expected


def test_what_nobody_asks_for_is_not_computed(computed, backend):
    block = Block()
    h = block.norm(block.conv())
    y = F.relu(h)
    assert y.shape == SHAPE and y.dtype == 'f' and (y.ndim, y.size, len(y)) == (4, 720, 4)
    assert y.device == block.x.device and y.xp is block.x.xp and y.label == '(4, 5, 6, 6), float32'
    assert computed == []
    y.array
    assert computed == [(False, True)]


@pytest.mark.parametrize('looked_at', ['x', 'h', 'sum', 'y'])
@pytest.mark.parametrize('when', range(4))
def test_looking_at_any_time_shows_what_it_is(looked_at, when, backend):
    with Hook():
        block = Block()
        x, s = block.conv(), block.side()
        h = block.norm(x)
        expected = dict(x=x.array, h=h.array, sum=(h + s).array, y=F.relu(h + s).array)
        expected_gradients = block.gradients(F.relu(h + s))
    block = Block()
    named, steps = {}, []
    side = block.side()
    steps.append(lambda: named.update(x=block.conv()))
    steps.append(lambda: named.update(h=block.norm(named['x'])))
    steps.append(lambda: named.update(sum=named['h'] + side))
    steps.append(lambda: named.update(y=F.relu(named['sum'])))
    for i, step in enumerate(steps):
        step()
        if i >= when and looked_at in named:
            assert_close(named[looked_at].array, expected[looked_at])
    for gx, other in zip(block.gradients(named['y']), expected_gradients):
        assert_close(gx, other, 2e-4)
    for name, v in named.items():
        assert_close(v.array, expected[name])
        assert v.array.flags.c_contiguous and v.array is v.array


# -- what can be changed meanwhile ------------------------------------------------------------------------------------


CHANGES = {
    'gamma': lambda b, x, s: b.gamma.array.fill(7),
    'beta': lambda b, x, s: b.beta.array.fill(7),
    'mean': lambda b, x, s: b.mean.fill(7),
    'var': lambda b, x, s: b.var.fill(7),
    'image': lambda b, x, s: b.x.array.fill(7),
    'W': lambda b, x, s: b.W.array.fill(7),
    'x': lambda b, x, s: x.array.fill(7),
    'side': lambda b, x, s: s.array.fill(7),
    'x_again': lambda b, x, s: x.creator_node.outputs[0]().get_variable().array.fill(7),
    'x_assigned': lambda b, x, s: setattr(x, 'array', np.full(SHAPE, 7, 'f')),
    'statistics': lambda b, x, s: [
        getattr(b.node, name).fill(7) for name in ('mean', 'var', 'inv_std') if getattr(b.node, name, None) is not None
    ],
}


@pytest.mark.parametrize('train', [True, False], ids=['batch', 'fixed'])
@pytest.mark.parametrize('contiguous', [False, True])
@pytest.mark.parametrize('change', CHANGES)
def test_what_is_changed_later_does_not_matter(change, contiguous, train, backend):
    if contiguous:

        def images(b):
            return F.tanh(b.x), F.tanh(b.z)
    else:

        def images(b):
            return b.conv(), b.side()

    results = []
    for hooks in ([Hook()], []):
        block = Block(train=train)
        for hook in hooks:
            hook.__enter__()
        x, s = images(block)
        h = block.norm(x)
        block.node = h.creator_node
        total = h + s
        y = F.relu(total)
        for hook in hooks:
            hook.__exit__()
        CHANGES[change](block, x, s)
        results.append([v.array.copy() for v in (y, total, h)])
    for actual, expected in zip(*results):
        assert_close(actual, expected)


def test_the_arrays_of_a_dead_variable_are_not_changed_either(backend):
    block = Block()
    x = F.tanh(block.x)
    h = block.norm(x)
    expected = F.relu(Block().norm(F.tanh(block.x))).array
    y = F.relu(h)
    del x
    h.creator_node.inputs[0].get_variable().array.fill(7)
    assert_close(y.array, expected)


@pytest.mark.parametrize('place', ['x', 'y'])
def test_what_is_written_to_an_array_counts_in_the_backward_pass(place, backend):
    """As it does in Chainer, where functions keep the arrays themselves."""
    results = []
    for hooks in ([Hook()], []):
        block = Block()
        for hook in hooks:
            hook.__enter__()
        x = block.conv()
        y = F.relu(block.norm(x))
        for hook in hooks:
            hook.__exit__()
        y.array
        (x if place == 'x' else y).array[:2] = 0.25
        results.append(block.gradients(y))
    for actual, expected in zip(*results):
        if expected is not None:
            assert_close(actual, expected, 2e-4)


@pytest.mark.host('NumPy alone: oneDNN and CuPy work on copies, which the next test is about')
def test_arrays_of_the_user_are_normalized_at_once(computed):
    block = Block()
    with chainlite.using_config('use_ideep', 'never'):
        h = block.norm(block.x)
        expected = h.array.copy()
        block.x.array.fill(7)
        np.testing.assert_array_equal(F.relu(h).array, np.maximum(expected, 0))
    assert computed == []


def test_copies_of_the_user_s_arrays_may_be_normalized_later(backend):
    block, other = Block(), Block()
    with Hook():
        y = F.relu(other.norm(other.x))
        expected = y.array, *other.gradients(y)
    y = F.relu(block.norm(block.x))
    before = block.x.array.copy()
    block.x.array.fill(7)
    assert_close(y.array, expected[0])
    block.x.array[...] = before
    for gx, other in zip(block.gradients(y), expected[1:]):
        assert gx is other is None or assert_close(gx, other, 2e-4) is None


def test_an_array_that_the_user_has_seen_is_not_added_later(computed, backend):
    block = Block()
    side = block.side()
    array = side.array
    y = F.relu(block.norm(block.conv()) + side)
    array.fill(7)
    expected = Block()
    with Hook():
        expected = F.relu(expected.norm(expected.conv()) + expected.side())
    assert_close(y.array, expected.array)


# -- the graph --------------------------------------------------------------------------------------------------------


def test_the_graph_has_all_functions(backend):
    block = Block()
    y = F.relu(block.norm(block.conv()) + block.side())
    add = y.creator_node.inputs[0].creator_node
    labels = [f.label for f in (y.creator_node, add, *[x.creator_node for x in add.inputs])]
    assert labels == ['ReLU', '_ + _', 'BatchNormalization', 'Convolution2DFunction']
    assert len(chainlite.computational_graph.build_computational_graph([y]).nodes) == 16


def test_hooks_see_every_function_and_all_arrays(computed, backend):
    calls = []

    class Recorder(FunctionHook):
        def forward_postprocess(self, function, in_data):
            calls.append((function.label, [type(a) for a in in_data]))

        def backward_postprocess(self, function, in_data, out_grad):
            calls.append((function.label, [type(a) for a in out_grad]))

    block = Block()
    kind = block.x.xp.ndarray
    h = block.norm(block.conv())
    with Recorder():
        y = F.relu(h)
    assert calls == [('ReLU', [kind])] and computed == [(False, False)]
    with Recorder():
        block.gradients(y)
    assert ('ReLU', [kind]) in calls[1:] and ('BatchNormalization', [kind]) in calls


def test_debug_mode_leaves_nothing_for_later(computed, backend):
    block = Block()
    with chainlite.using_config('debug', True):
        x = block.conv()
        x.array[0, 0, 0, 0] = np.nan
        with pytest.raises(RuntimeError, match='NaN is detected on forward computation of BatchNormalization'):
            block.norm(x)
        block = Block()
        block.gradients(F.relu(block.norm(block.conv())))
    assert computed == []


@pytest.mark.parametrize('train', [True, False], ids=['batch', 'fixed'])
@pytest.mark.parametrize('form', ['relu', 'left_relu', 'right_relu'])
@pytest.mark.parametrize('where', ['x', 'side'])
def test_nan_stays_nan(form, where, train, backend):
    results = []
    for hooks in ([Hook()], []):
        block = Block(train=train)
        (block.x if where == 'x' else block.z).array[0, 0, 0, 0] = np.nan
        (block.x if where == 'x' else block.z).array[1, 0, 0, 0] = -np.inf
        for hook in hooks:
            hook.__enter__()
        with np.errstate(invalid='ignore'):
            results.append(FORMS[form](block).array)
        for hook in hooks:
            hook.__exit__()
    assert_close(results[1], results[0])
    assert form == 'relu' and where == 'side' or bool((results[1] != results[1]).any())


def test_retained_gradients_are_those_of_the_intermediate_variables(backend):
    results = []
    for hooks in ([Hook()], []):
        block = Block()
        for hook in hooks:
            hook.__enter__()
        x, s = block.conv(), block.side()
        h = block.norm(x)
        total = h + s
        y = F.relu(total)
        y.grad = block.gy
        y.backward(retain_grad=True)
        for hook in hooks:
            hook.__exit__()
        results.append([v.grad for v in (y, total, h, s, x)])
    for actual, expected in zip(*results):
        assert_close(actual, expected, 2e-4)


def test_gradients_of_intermediate_variables_can_be_asked_for(backend):
    results = []
    for hooks in ([Hook()], []):
        block = Block()
        for hook in hooks:
            hook.__enter__()
        x = block.conv()
        h = block.norm(x)
        y = F.relu(h)
        results.append([g.array for g in chainlite.grad([y], [h, x, block.gamma], [Variable(block.gy)])])
        for hook in hooks:
            hook.__exit__()
    for actual, expected in zip(*results):
        assert_close(actual, expected, 2e-4)


def test_it_can_be_differentiated_twice(backend):
    results = []
    for hooks in ([Hook()], []):
        block = Block('d')
        for hook in hooks:
            hook.__enter__()
        y = F.relu(block.norm(block.conv()) + block.side())
        (gx,) = chainlite.grad([y], [block.x], [Variable(block.gy)], enable_double_backprop=True)
        loss = F.sum(gx * gx)
        for v in block.inputs:
            v.cleargrad()
        loss.backward()
        results.append([v.grad for v in block.inputs if v.grad is not None])
        for hook in hooks:
            hook.__exit__()
    assert len(results[0]) == len(results[1]) == 3
    for actual, expected in zip(*results):
        assert_close(actual, expected, 1e-8)


def test_unchaining_cuts_the_graph_and_keeps_the_numbers(backend):
    block = Block()
    expected = F.relu(Block().norm(Block().conv())).array
    h = block.norm(block.conv())
    y = F.relu(h)
    h.unchain()
    assert_close(y.array, expected, 1e-5)
    assert block.gradients(y)[0] is None
    block = Block()
    y = F.relu(block.norm(block.conv()))
    y.unchain_backward()
    assert_close(y.array, expected, 1e-5)


@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_have_the_numbers(copied, backend):
    block = Block()
    h = block.norm(block.conv())
    y = F.relu(h)
    assert_array_equal(h.xp.maximum(copied(h).array, 0), copied(y).array)


@pytest.mark.parametrize('train', [True, False], ids=['batch', 'fixed'])
def test_without_a_graph_it_is_the_same(train, computed, backend):
    block, other = Block(train=train), Block(train=train)
    with chainlite.no_backprop_mode():
        y = F.relu(block.norm(block.conv()) + block.side())
        by_convolution = not train and isinstance(block.conv()._hidden, Convolved)  # see onednn/test_convolved
    expected = F.relu(other.norm(other.conv()) + other.side())
    assert_close(y.array, expected.array)
    assert y.creator_node is None and computed == [(True, True)] * (1 if by_convolution else 2)


def test_the_normalized_array_need_not_exist(backend):
    """What the graph keeps of normalization and rectifier: the input of the one and the output of the other."""
    block = Block()
    h = block.norm(block.conv())
    y = F.relu(h)
    F.convolution_2d(y, block.V)
    assert isinstance(h._hidden, Deferred) and h._hidden.result is None
    assert y._hidden is not None and not isinstance(y._hidden, Deferred)
    block.gradients(y)
    assert isinstance(h._hidden, Deferred) and h._hidden.result is None


@pytest.mark.host('the threads of Python')
def test_several_threads_may_ask_for_the_same():
    heads = [F.identity, F.relu, lambda h: h + 1, lambda h: F.relu(h + F.tanh(h))]
    block, barrier, errors = Block(), threading.Barrier(len(heads)), []
    x = block.conv()
    with Hook():
        expected = [head(block.norm(x)).array for head in heads]
    hs = [block.norm(x) for _ in range(400)]

    def work(head, y):
        for h in hs:
            barrier.wait()
            try:
                assert_close(head(h).array, y)
            except Exception as error:
                errors.append(error)

    side_by_side(work, heads, expected)
    assert errors == []
