import copy
import pickle

import numpy as np
import pytest
from comparing import assert_allclose, assert_array_equal

import chainlite
from chainlite import optimizers
from chainlite.optimizers.adam import AdamRule

ALL = [
    'AdaDelta',
    'AdaGrad',
    'Adam',
    'AdamW',
    'AMSGrad',
    'AdaBound',
    'AMSBound',
    'CorrectedMomentumSGD',
    'MomentumSGD',
    'MSVAG',
    'NesterovAG',
    'RMSprop',
    'RMSpropGraves',
    'SGD',
    'SMORMS3',
]


@pytest.fixture
def parameter(device):
    """Makes a parameter of random values, the same at each call, with a gradient."""

    def parameter(shape=(2, 3), dtype='f'):
        random = np.random.RandomState(0)
        param, grad = (np.asarray(random.randn(*shape)).astype(dtype) for _ in range(2))
        param = chainlite.Parameter(device.send(param))
        param.grad = device.send(grad)
        return param

    return parameter


def rule_of(name, **arguments):
    return getattr(optimizers, name)(**arguments).create_update_rule()


@pytest.mark.host('names')
def test_every_optimizer_is_here():
    found = [
        name
        for name, value in vars(optimizers).items()
        if isinstance(value, type) and issubclass(value, chainlite.Optimizer)
    ]
    assert sorted(found) == sorted(ALL)


@pytest.mark.parametrize('name', ALL)
@pytest.mark.parametrize('shape', [(2, 3), (), (1, 0, 2), (5, 7000)])
def test_update_keeps_arrays_dtype_and_shape(parameter, name, shape):
    param = parameter(shape)
    array, grad = param.array, param.grad
    before, expected_grad = array.copy(), grad.copy()
    rule = rule_of(name)
    rule.update(param)
    states = dict(rule.state)
    rule.update(param)
    assert param.array is array and array.dtype == np.float32
    assert param.grad is grad
    assert_array_equal(grad, expected_grad)
    for key, value in rule.state.items():
        assert value is states[key] and value.shape == shape and value.dtype == np.float32
    assert array.size == 0 or (array != before).mean() > 0.99


@pytest.mark.parametrize('name', ALL)
def test_blocks_and_strides_do_not_change_the_result(xp, parameter, name):
    big = parameter((6, 7000))
    rule_of(name).update(big)
    whole = parameter((6, 7000))
    strided = chainlite.Parameter(xp.asfortranarray(whole.array))
    strided.grad = xp.asfortranarray(whole.grad)
    rule_of(name).update(strided)
    assert_array_equal(strided.array, big.array)
    row = chainlite.Parameter(whole.array[2].copy())
    row.grad = whole.grad[2]
    rule_of(name).update(row)
    assert_array_equal(row.array, big.array[2])


@pytest.mark.parametrize('name', ALL)
def test_numpy_scalars_as_hyperparameters_do_not_change_the_result(parameter, name):
    optimizer = getattr(optimizers, name)()
    one, other = parameter(), parameter()
    optimizer.create_update_rule().update(one)
    for key, value in optimizer.hyperparam.get_dict().items():
        if type(value) is float:
            setattr(optimizer, key, np.float64(value))
    optimizer.create_update_rule().update(other)
    assert_array_equal(one.array, other.array)
    assert other.array.dtype == np.float32


@pytest.mark.parametrize('name', ALL)
def test_cleared_gradient_leaves_the_parameter(parameter, name):
    param = parameter()
    before = param.array.copy()
    param.cleargrad()
    rule_of(name).update(param)
    assert_array_equal(param.array, before)


@pytest.mark.parametrize('name', ALL)
def test_pickled_optimizer_goes_on_alike(device, parameter, name):
    link = chainlite.Link()
    with link.init_scope():
        link.w = parameter()
    link.to_device(device)
    optimizer = getattr(optimizers, name)().setup(link)
    optimizer.update()
    for other in [pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)]:
        assert other.target is not link
        other.update()
        copied = other.target.w.array
        link_w = parameter()
        link_w.array[...] = link.w.array
        rule = copy.deepcopy(link.w.update_rule)
        rule.update(link_w)
        assert_array_equal(copied, link_w.array)


@pytest.mark.parametrize('name', ALL)
def test_subclass_can_call_the_rules_update_core(parameter, name):
    calls = []

    class Rule(type(rule_of(name))):
        def update_core_cpu(self, param):
            calls.append(param)
            super().update_core_cpu(param)

        def update_core_gpu(self, param):
            calls.append(param)
            super().update_core_gpu(param)

    one, other = parameter(), parameter()
    Rule(getattr(optimizers, name)().hyperparam).update(one)
    rule_of(name).update(other)
    assert len(calls) == 1
    assert_array_equal(one.array, other.array)


@pytest.mark.parametrize('name', ALL)
def test_zero_gradients_do_not_make_nan(parameter, name):
    for dtype in 'efd':
        if (name, dtype) == ('RMSprop', 'e'):
            continue  # refuses its default eps, below
        param = parameter(dtype=dtype)
        before = param.array.copy()
        param.grad[...] = 0
        rule = rule_of(name)
        for _ in range(3):
            rule.update(param)
        assert_array_equal(param.array, before)


@pytest.mark.host('numbers')
def test_rule_has_hyperparameters_of_its_own():
    optimizer = optimizers.MomentumSGD(lr=0.5)
    rule = type(optimizer.create_update_rule())(optimizer.hyperparam, momentum=0.25)
    assert (rule.hyperparam.lr, rule.hyperparam.momentum) == (0.5, 0.25)
    optimizer.lr = 0.125
    assert rule.hyperparam.lr == 0.125
    assert type(rule)().hyperparam.get_dict() == {'lr': 0.01, 'momentum': 0.9}


def test_eps_that_vanishes_is_refused_before_anything_changes(parameter):
    param = parameter(dtype='e')
    before = param.array.copy()
    rule = rule_of('RMSprop')
    with pytest.raises(ValueError, match=r'eps of RMSprop optimizer is too small for float16 \(1e-08\)'):
        rule.update(param)
    assert rule.t == 0
    assert_array_equal(param.array, before)
    rule_of('RMSprop', eps=1e-6).update(param)
    rule_of('Adam').update(parameter(dtype='e'))
    rule_of('Adam', eps=1e-50).update(parameter(dtype='d'))
    with pytest.raises(ValueError, match=r'eps of Adam optimizer is too small for float32 \(1e-50\)'):
        rule_of('Adam', eps=1e-50).update(parameter())


class TestAdam:
    def test_alpha_t_is_the_bias_corrected_step_size(self, device, parameter):
        link = chainlite.Link()
        with link.init_scope():
            link.w = parameter()
        link.to_device(device)
        optimizer = optimizers.Adam().setup(link)
        rule = link.w.update_rule
        for adam in (optimizer, rule):
            with pytest.raises(RuntimeError, match="Can't determine the learning rate of Adam optimizer because"):
                _ = adam.alpha_t
        optimizer.update()
        assert optimizer.alpha_t == rule.alpha_t == pytest.approx(0.001 * 0.001**0.5 / 0.1)
        for adam, name in ((optimizer, 'Adam'), (rule, 'AdamRule')):
            with pytest.warns(DeprecationWarning, match=f'^{name}.lr has been renamed to AdamRule.alpha_t. Use of '):
                assert adam.lr == adam.alpha_t

    @pytest.mark.host('numbers')
    def test_bounds_follow_alpha_and_close_in_on_final_lr(self):
        rule = rule_of('AMSBound')
        with pytest.raises(RuntimeError, match="Can't determine the bounds of AdaBound optimizer because"):
            _ = rule.bounds
        rule.t = 1
        assert rule.bounds == pytest.approx((9.990009990008543e-05, 100.1))
        rule.hyperparam.alpha = 0.01
        assert rule.bounds == pytest.approx((9.990009990008543e-04, 1001.0))
        rule.t = 10**9
        assert rule.bounds == pytest.approx((1.0, 1.0), rel=1e-5)

    def test_amsgrad_keeps_the_largest_second_moment(self, xp):
        param = chainlite.Parameter(xp.zeros(4, 'f'))
        rule = AdamRule(alpha=0.01, beta2=0.7, amsgrad=True)
        param.grad = xp.array([1, -1, 10, -10], 'f')
        rule.update(param)
        assert_allclose(param.array, [-0.01, 0.01, -0.01, 0.01], rtol=1e-6)
        param.grad = xp.array([-10, -10, -1, -1], 'f')
        rule.update(param)
        assert_allclose(rule.state['v'], [30.21, 30.21, 21.3, 21.3], rtol=1e-6)
        assert_allclose(rule.state['vhat'], [30.21, 30.21, 30, 30], rtol=1e-6)

    def test_weight_decay_is_decoupled(self, xp):
        param = chainlite.Parameter(xp.ones(1, 'f'))
        param.grad = xp.ones(1, 'f')
        AdamRule(eta=0.5, weight_decay_rate=0.1).update(param)
        assert_allclose(param.array, 1 - 0.5 * (0.001 + 0.1), rtol=1e-7)
