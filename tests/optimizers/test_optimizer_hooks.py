import numpy as np
import pytest
from comparing import assert_allclose, assert_array_equal

import chainlite
from chainlite import optimizer, optimizer_hooks, optimizers


@pytest.fixture
def link_of(device):
    """Makes a link of parameters, each given by its values and its gradient."""

    def link_of(**params):
        link = chainlite.Link()
        with link.init_scope():
            for name, (array, grad) in params.items():
                param = chainlite.Parameter(np.array(array, 'f'))
                param.grad = None if grad is None else np.array(grad, 'f')
                setattr(link, name, param)
        return link.to_device(device)

    return link_of


@pytest.fixture
def hooked(link_of):
    """Makes a link whose gradients the hook has seen."""

    def hooked(hook, **params):
        link = link_of(**params)
        opt = optimizers.SGD().setup(link)
        opt.add_hook(hook)
        opt.call_hooks()
        return link

    return hooked


def test_weight_decay_adds_the_parameter(hooked):
    link = hooked(optimizer_hooks.WeightDecay(0.5), w=([1, -2], [3, 4]))
    assert_allclose(link.w.grad, [3.5, 3])


def test_lasso_adds_the_sign(hooked):
    link = hooked(optimizer_hooks.Lasso(0.5), w=([1, -2, 0], [3, 4, 5]))
    assert_allclose(link.w.grad, [3.5, 3.5, 5])


@pytest.mark.parametrize('by_rule', [False, True])
def test_weight_decay_does_not_depend_on_the_loss_scale(link_of, by_rule):
    results = []
    for scale in (None, 16.0):
        link = link_of(w=([1, -2], [3, 4]))
        opt = optimizers.SGD(lr=1).setup(link)
        if scale is not None:
            link.w.grad *= scale
            link.w._loss_scale = scale
        (link.w.update_rule if by_rule else opt).add_hook(optimizer_hooks.WeightDecay(0.5))
        opt.update()
        results.append(link.w.array)
    assert_allclose(*results)


def test_clipping_scales_all_gradients_by_one_factor(hooked):
    link = hooked(optimizer_hooks.GradientClipping(2.5), a=([1], [3]), b=([1, 1], [4, 0]))
    assert_allclose(link.a.grad, [1.5])
    assert_allclose(link.b.grad, [2, 0])


@pytest.mark.parametrize('grad', [[3, 4], [0, 0], [np.nan, 1]])
def test_clipping_leaves_short_zero_and_undefined_gradients(hooked, grad):
    link = hooked(optimizer_hooks.GradientClipping(5), w=([1, 1], grad), without=([1], None))
    assert_array_equal(link.w.grad, grad)


def test_clipping_of_float16_does_not_overflow(device):
    link = chainlite.Link()
    with link.init_scope():
        link.w = chainlite.Parameter(np.zeros(4, 'e'))
    link.to_device(device)
    link.w.grad = device.xp.full(4, 1000, 'e')
    opt = optimizers.SGD().setup(link)
    opt.add_hook(optimizer_hooks.GradientClipping(1.0))
    opt.call_hooks()
    assert_allclose(link.w.grad, 0.5, rtol=1e-3)


def test_hard_clipping_clips_each_element(hooked):
    link = hooked(optimizer_hooks.GradientHardClipping(-1, 2), w=([0, 0, 0], [-3, 1, 3]))
    assert_array_equal(link.w.grad, [-1, 1, 2])


def test_noise_decays_with_the_updates(xp, link_of):
    link = link_of(w=(np.zeros(10000), np.zeros(10000)))
    opt = optimizers.SGD().setup(link)
    opt.add_hook(optimizer_hooks.GradientNoise(0.3))
    xp.random.seed(0)
    for t in (0, 99):
        link.w.grad[...] = 0
        link.w.update_rule.t = t
        opt.call_hooks()
        assert float(link.w.grad.std()) == pytest.approx((0.3 / (1 + t) ** 0.55) ** 0.5, rel=0.03)


def test_noise_function_is_asked_for_each_parameter(xp, hooked):
    asked = []

    def ones(module, shape, dtype, hook, rule):
        asked.append((module, shape, dtype, hook, rule))
        return module.ones(shape, dtype)

    hook = optimizer_hooks.GradientNoise(0.3, noise_func=ones)
    link = hooked(hook, w=([1, 2], [3, 4]))
    assert asked == [(xp, (2,), np.float32, hook, link.w.update_rule)]
    assert_array_equal(link.w.grad, [4, 5])


def test_lars_scales_by_the_ratio_of_norms(hooked):
    link = hooked(
        optimizer_hooks.GradientLARS(threshold=1, weight_decay=0.5, eps=0), big=([3, 4], [0, 2]), small=([0.1], [2])
    )
    assert_allclose(link.big.grad, 5 / (2 + 2.5) * np.array([1.5, 4]))
    assert_allclose(link.small.grad, [2.05])


@pytest.mark.parametrize(
    'make',
    [
        lambda m: m.WeightDecay(0.5),
        lambda m: m.Lasso(0.5),
        lambda m: m.GradientClipping(1.0),
        lambda m: m.GradientNoise(0.5),
        lambda m: m.GradientHardClipping(-1, 2),
        lambda m: optimizer_hooks.GradientLARS(),
    ],
)
def test_hooks_pass_over_parameters_without_gradient_or_array(link_of, make):
    link = link_of(w=([1], None))
    with link.init_scope():
        link.unknown = chainlite.Parameter()
    link.cleargrads()
    opt = optimizers.SGD().setup(link)
    hook = make(optimizer_hooks)
    if getattr(hook, 'call_for_each_param', False):
        for param in link.params():
            hook(param.update_rule, param)
    opt.add_hook(hook)
    opt.update()
    assert link.unknown.array is None


@pytest.mark.host('names and warnings')
@pytest.mark.parametrize(
    'name, arguments',
    [
        ('WeightDecay', (1.0,)),
        ('Lasso', (1.0,)),
        ('GradientClipping', (1.0,)),
        ('GradientNoise', (1.0,)),
        ('GradientHardClipping', (1.0, 2.0)),
    ],
)
def test_old_names_warn_and_work(name, arguments):
    with pytest.warns(DeprecationWarning) as record:
        hook = getattr(optimizer, name)(*arguments)
    assert isinstance(hook, getattr(optimizer_hooks, name))
    assert [str(w.message) for w in record] == [
        f'chainer.optimizer.{name} is deprecated from v4. Use chainer.optimizer_hooks.{name} instead.'
    ]
    assert record[0].filename == __file__
