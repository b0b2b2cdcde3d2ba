import copy

import numpy as np
import pytest
from comparing import assert_allclose, assert_array_equal, host

import chainlite
from chainlite import functions as F
from chainlite import optimizer, optimizers
from chainlite.serializers import DictionarySerializer, NpzDeserializer


class Model(chainlite.Link):
    def __init__(self, dtype='f', n=1):
        super().__init__()
        with self.init_scope():
            for i in range(n):
                setattr(self, f'w{i}', chainlite.Parameter(np.arange(4).astype(dtype)))
        for param in self.params():
            param.grad = np.ones(4, dtype)


@pytest.fixture
def make_model(device):
    return lambda dtype='f', n=1: Model(dtype, n).to_device(device)


@pytest.fixture
def set_up(make_model):
    def set_up(cls=optimizers.SGD, dtype='f', n=1, **arguments):
        model = make_model(dtype, n)
        return cls(**arguments).setup(model), model

    return set_up


@pytest.mark.host('numbers of the host')
class TestHyperparameter:
    def test_values_fall_back_to_the_parent(self):
        parent = optimizer.Hyperparameter()
        parent.x, parent.y = 1, 2
        child = optimizer.Hyperparameter(parent)
        child.y = 3
        assert (child.x, child.y, child.parent) == (1, 3, parent)
        assert child.get_dict() == {'x': 1, 'y': 3}
        assert repr(child) == 'Hyperparameter(x=1, y=3)'
        parent.x = 5
        assert child.x == 5
        with pytest.raises(AttributeError, match='z'):
            _ = child.z

    def test_copies_keep_their_relation(self):
        parent = optimizer.Hyperparameter()
        parent.x = 1
        parent2, child2 = copy.deepcopy([parent, optimizer.Hyperparameter(parent)])
        assert child2.parent is parent2 and child2.x == 1

    def test_proxy_reads_and_writes_the_hyperparameter(self):
        opt = optimizers.SGD(lr=0.5)
        assert opt.lr == opt.hyperparam.lr == 0.5
        opt.lr = 0.25
        assert opt.hyperparam.lr == 0.25
        assert optimizers.SGD.lr.__doc__ == 'Alias to ``self.hyperparam.lr``'


class TestHooks:
    @pytest.mark.parametrize('of_rule', [False, True])
    def test_bad_hooks_are_refused(self, set_up, of_rule):
        opt, model = set_up()
        host = model.w0.update_rule if of_rule else opt
        with pytest.raises(TypeError, match='hook function must be callable'):
            host.add_hook(1)
        with pytest.raises(ValueError, match=r"timing must be one of \('pre', 'post', 'auto'\)"):
            host.add_hook(print, timing='late')
        with pytest.raises(ValueError, match='the name of the hook function is not specified'):
            host.add_hook(type('Nameless', (), {'__call__': print})())
        host.add_hook(print, 'name')
        with pytest.raises(KeyError, match='hook "name" already exists'):
            host.add_hook(print, 'name', timing='post')
        with pytest.raises(KeyError):
            host.remove_hook('other')
        host.remove_hook('name')
        host.add_hook(print, 'name', timing='post')

    @pytest.mark.host('texts of errors')
    def test_hooks_need_set_up(self):
        for call in (lambda o: o.add_hook(print), lambda o: o.remove_hook('x'), lambda o: o.call_hooks()):
            with pytest.raises(RuntimeError, match='Optimizer is not set up. Call `setup` method.'):
                call(optimizers.SGD())

    def test_unknown_timing_attribute_means_pre(self, set_up):
        def hook(opt):
            calls.append('hook')

        calls = []
        hook.timing = 'someday'
        opt, _ = set_up()
        with pytest.warns(
            UserWarning, match=r"Hook timing attribute not in \('pre', 'post'\), defaulting timing to 'pre'"
        ):
            opt.add_hook(hook)
        opt.call_hooks('pre')
        assert calls == ['hook']
        with pytest.raises(ValueError, match="timing must be either 'pre' or 'post'"):
            opt.call_hooks('auto')

    def test_setup_forgets_hooks_and_counts(self, set_up):
        opt, model = set_up()
        opt.add_hook(print)
        opt.update()
        opt.new_epoch()
        assert opt.setup(model) is opt
        assert (opt.t, opt.epoch) == (0, 0)
        opt.add_hook(print)

    def test_order_of_an_update(self, set_up):
        events = []

        class Rule(optimizer.UpdateRule):
            def init_state(self, param):
                events.append('init')

            def update_core(self, param):
                events.append(f'core {self.t} {opt.t} {param.grad[0]}')

        class Method(optimizer.GradientMethod):
            def create_update_rule(self):
                return Rule()

        opt, model = set_up(Method)
        for timing in ('post', 'pre'):
            opt.add_hook(lambda o, when=timing: events.append(f'opt {when} {o.t} {model.w0.grad[0]}'), timing, timing)
            model.w0.update_rule.add_hook(
                lambda rule, param, when=timing: events.append(f'rule {when} {rule.t} {param.grad[0]}'), timing, timing
            )
        model.w0._loss_scale = 2
        opt.update()
        assert events == [
            'opt pre 0 1.0',
            'init',
            'rule pre 1 0.5',
            'core 1 1 0.5',
            'rule post 1 0.5',
            'opt post 1 0.5',
        ]

    def test_gradient_that_a_hook_clears_becomes_zero(self, set_up):
        opt, model = set_up()
        seen = []
        opt.add_hook(lambda o: o.target.cleargrads(), 'clear')
        opt.add_hook(lambda o: seen.append(o.target.w0.grad.copy()), 'look')
        opt.update()
        assert_array_equal(host(seen[0]), np.zeros(4))
        assert_array_equal(model.w0.array, np.arange(4))


class TestUpdateRule:
    @pytest.mark.parametrize('method', ['update_core', 'update_core_of_the_device'])
    def test_users_rule_overrides_one_method(self, device, make_model, method):
        class Rule(optimizer.UpdateRule):
            pass

        def step(self, param):
            param.array -= param.grad

        of_device = 'update_core_cpu' if device.xp is np else 'update_core_gpu'
        setattr(Rule, of_device if method == 'update_core_of_the_device' else method, step)
        model = make_model()
        Rule().update(model.w0)
        assert_array_equal(model.w0.array, np.arange(4) - 1)

    def test_base_rule_does_not_update(self, make_model):
        rule, param = optimizer.UpdateRule(), make_model().w0
        for method in (rule.update, rule.update_core, rule.update_core_cpu, rule.update_core_gpu):
            with pytest.raises(NotImplementedError):
                method(param)
        assert rule.t == 0

    def test_disabled_rule_does_nothing(self, set_up):
        opt, model = set_up()
        model.w0.update_rule.enabled = False
        opt.update()
        assert model.w0.update_rule.t == 0 and opt.t == 1
        assert_array_equal(model.w0.array, np.arange(4))

    def test_parameter_without_a_shape_is_passed_over(self, device):
        class Late(Model):
            def __init__(self):
                super().__init__()
                with self.init_scope():
                    self.late = chainlite.Parameter()
                self.late.cleargrad()

        model = Late().to_device(device)
        opt = optimizers.Adam().setup(model)
        opt.update()
        assert model.late.update_rule.state is None
        model.late.initialize((2,))
        opt.update()
        assert set(model.late.update_rule.state) == {'m', 'v'}

    def test_error_in_the_middle_leaves_the_count(self, set_up):
        opt, model = set_up(optimizers.Adam)
        rule = model.w0.update_rule
        rule.add_hook(lambda rule, param: 1 / 0, 'fail')
        with pytest.raises(ZeroDivisionError):
            rule.update(model.w0)
        assert rule.t == 0
        rule.remove_hook('fail')
        opt.update()
        assert rule.t == 1

    def test_gradient_is_unscaled_once(self, set_up):
        opt, model = set_up(lr=1)
        model.w0._loss_scale = 2
        opt.update()
        opt.update()
        assert_array_equal(model.w0.array, np.arange(4) - 1)


class TestFp32Update:
    def test_keeps_what_float16_loses(self, set_up):
        opt, model = set_up(dtype='e', lr=1e-4)
        opt.use_fp32_update()
        array = model.w0.array
        array[...] = 1
        for _ in range(100):
            opt.update()
        assert model.w0.array is array and array.dtype == np.float16
        assert_allclose(array, 0.99, rtol=1e-3)
        opt.use_fp32_update(False)
        for _ in range(100):
            opt.update()
        assert_allclose(array, 0.99, rtol=1e-3)

    def test_rule_and_its_hooks_see_float32(self, set_up):
        opt, model = set_up(optimizers.MomentumSGD, dtype='e')
        opt.use_fp32_update()
        seen = []
        model.w0.update_rule.add_hook(lambda rule, param: seen.append((param.array.dtype, param.grad.dtype)), 'look')
        opt.update()
        assert seen == [(np.float32, np.float32)]
        assert model.w0.update_rule.state['v'].dtype == np.float32
        assert model.w0.grad.dtype == np.float16

    def test_chosen_before_setup(self, make_model):
        opt = optimizers.SGD()
        opt.use_fp32_update()
        model = make_model('e')
        opt.setup(model)
        opt.update()
        assert model.w0.update_rule._fp32_param is not None

    def test_loading_forgets_the_float32_copy(self, set_up):
        opt, model = set_up(dtype='e', lr=1)
        opt.use_fp32_update()
        opt.update()
        saved = DictionarySerializer()
        opt.serialize(saved)
        opt.serialize(NpzDeserializer(saved.target))
        model.w0.array[...] = 10
        opt.update()
        assert_array_equal(model.w0.array, 9)


class TestLossScaling:
    def test_bad_settings_are_refused(self, set_up):
        opt, _ = set_up()
        with pytest.raises(ValueError, match='interval must be greater than or equal to 1. Actual: 0'):
            opt.loss_scaling(interval=0)
        for scale in (-1, 0):
            with pytest.raises(ValueError, match=f'loss_scale must be a positive number. Actual: {scale}'):
                opt.loss_scaling(scale=scale)

    @pytest.mark.parametrize('scale', [None, 64.0])
    def test_scale_does_not_change_the_update(self, set_up, scale):
        opt, model = set_up(lr=1)
        if scale:
            opt.loss_scaling(scale=scale)
        seen = []
        opt.add_hook(lambda o: seen.append(float(model.w0.grad[0])), 'look')
        opt.update(lambda: F.sum(model.w0 * 3))
        assert_array_equal(model.w0.array, np.arange(4) - 3)
        assert seen == [3 * (scale or 1)]

    def test_dynamic_scale_doubles_until_an_overflow(self, set_up):
        opt, model = set_up(lr=1)
        opt.loss_scaling(interval=2)
        scales = []
        for _ in range(4):
            opt.update()
            scales.append(opt._loss_scale)
        assert scales == [2, 4, 8, 16]
        before = model.w0.array.copy()
        model.w0.grad[0] = np.inf
        with pytest.warns(
            UserWarning, match=r'Non finite number found in param.grad of /w0 \(iteration: 4, loss_scale: 16.0\)'
        ):
            opt.update()
        assert (opt._loss_scale, opt.t, model.w0.update_rule.t, opt.is_safe_to_update()) == (8, 5, 4, False)
        assert_array_equal(model.w0.array, before)
        model.w0.grad[0] = 1
        for expected in (8 * 2**0.5, 16):
            opt.update()
            assert opt.is_safe_to_update()
            assert opt._loss_scale == pytest.approx(expected)

    def test_dynamic_scale_stays_in_the_range_of_float16(self, set_up):
        opt, model = set_up()
        opt.loss_scaling()
        opt.set_loss_scale(6e4)
        opt.update()
        assert opt._loss_scale == 65504
        model.w0.grad[0] = np.nan
        opt.set_loss_scale(1.5)
        for _ in range(2):
            with pytest.warns(UserWarning):
                opt.update()
        assert opt._loss_scale == 1


class TestOptimizer:
    @pytest.mark.host('texts of errors')
    def test_target_must_be_a_link(self):
        with pytest.raises(TypeError, match='optimization target must be a link'):
            optimizers.SGD().setup('xxx')

    def test_base_classes_leave_the_rest_to_subclasses(self, make_model):
        with pytest.raises(NotImplementedError):
            optimizer.Optimizer().update()
        with pytest.raises(NotImplementedError):
            optimizer.GradientMethod().setup(make_model())

    @pytest.mark.host('texts of errors')
    def test_new_epoch_is_called_by_one_side_only(self):
        opt = optimizer.Optimizer()
        opt.new_epoch()
        with pytest.raises(RuntimeError, match='invalid new_epoch call with auto=True'):
            opt.new_epoch(auto=True)
        opt.use_auto_new_epoch = True
        opt.new_epoch(auto=True)
        with pytest.raises(RuntimeError, match='duplicated new_epoch with the updater'):
            opt.new_epoch()
        assert opt.epoch == 2

    def test_update_with_a_loss_function_clears_gradients_first(self, set_up):
        opt, model = set_up(lr=1)

        def loss(factor, *, power):
            return F.sum(model.w0 * factor**power)

        opt.update(loss, 2.0, power=2)
        assert_array_equal(model.w0.grad, np.full(4, 4))
        assert_array_equal(model.w0.array, np.arange(4) - 4)

    def test_use_cleargrads_is_deprecated(self, set_up):
        opt, model = set_up()
        with pytest.warns(DeprecationWarning, match='GradientMethod.use_cleargrads is deprecated.'):
            opt.use_cleargrads()

    def test_parameter_without_a_rule_stays(self, set_up):
        opt, model = set_up(n=2)
        model.w0.update_rule = None
        opt.update()
        assert_array_equal(model.w0.array, np.arange(4))
        assert model.w1.array[0] != 0


class TestSerialize:
    @pytest.fixture
    def save(self, set_up):
        def save(steps=2, cls=optimizers.Adam):
            opt, model = set_up(cls, n=2)
            for _ in range(steps):
                opt.update()
            opt.epoch = 7
            serializer = DictionarySerializer()
            opt.serialize(serializer)
            return serializer.target

        return save

    def test_keys_and_values(self, save):
        saved = save()
        assert set(saved) == {'t', 'epoch', 'w0/t', 'w0/m', 'w0/v', 'w1/t', 'w1/m', 'w1/v'}
        assert (saved['t'], saved['epoch'], saved['w0/t']) == (2, 7, 2)
        assert set(save(0)) == {'t', 'epoch', 'w0/t', 'w1/t'}

    def test_loaded_optimizer_goes_on_alike(self, set_up, save):
        one, model = set_up(optimizers.Adam, n=2)
        for _ in range(3):
            one.update()
        other, model2 = set_up(optimizers.Adam, n=2)
        other.serialize(NpzDeserializer(save()))
        assert (other.t, other.epoch, model2.w0.update_rule.t) == (2, 7, 2)
        other.update()
        for name in 'mv':
            assert_array_equal(model2.w0.update_rule.state[name], model.w0.update_rule.state[name])

    def test_missing_state_is_an_error_if_strict(self, set_up, save):
        saved = save()
        del saved['w0/m']
        opt, model = set_up(optimizers.Adam, n=2)
        with pytest.raises(KeyError):
            opt.serialize(NpzDeserializer(saved))
        assert model.w0.update_rule.state is None and model.w0.update_rule.t == 0

    def test_missing_state_starts_anew_if_not_strict(self, set_up, save):
        saved = save()
        del saved['w0/m'], saved['w1/t']  # snapshots of Chainer v1 have no t for each parameter
        opt, model = set_up(optimizers.Adam, n=2)
        opt.serialize(NpzDeserializer(saved, strict=False))
        assert model.w0.update_rule.state is None and model.w0.update_rule.t == 2
        assert set(model.w1.update_rule.state) == {'m', 'v'} and model.w1.update_rule.t == 0
        opt.update()

    def test_disabled_rule_needs_no_state(self, set_up, save):
        saved = save()
        del saved['w0/m']
        opt, model = set_up(optimizers.Adam, n=2)
        model.w0.update_rule.enabled = False
        opt.serialize(NpzDeserializer(saved))
        assert model.w0.update_rule.state is None

    def test_state_may_be_anything_that_serializers_take(self, make_model):
        class Rule(optimizer.UpdateRule):
            def init_state(self, param):
                self.state['count'] = 0

            def update_core(self, param):
                self.state['count'] += 3

        param = make_model().w0
        rule = Rule()
        rule.update(param)
        serializer = DictionarySerializer()
        rule.serialize(serializer)
        loaded = Rule()
        loaded.serialize(NpzDeserializer(serializer.target))
        assert loaded.state['count'] == 3


def test_an_update_passes_over_parameters_that_wait_for_their_shape(device):
    model = chainlite.Link()
    with model.init_scope():
        model.late = chainlite.Parameter(0)
        model.ready = chainlite.Parameter(0, (2,))
    model.to_device(device)
    optimizer = chainlite.optimizers.SGD(lr=1).setup(model)
    model.cleargrads()
    model.ready.grad = device.xp.ones(2, 'f')
    optimizer.update()
    assert not model.late.is_initialized
    assert_array_equal(model.ready.array, [-1, -1])
