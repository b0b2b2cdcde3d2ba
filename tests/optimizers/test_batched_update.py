"""Parameters updated together against the same parameters updated one after the other; on CuPy where there is one."""

import copy
import pickle

import numpy as np
import pytest

import chainlite
from chainlite import optimizer_hooks, optimizers
from chainlite.backends import cuda

OPTIMIZERS = {
    'AdaDelta': {},
    'AdaGrad': {},
    'Adam': {},
    'AdamW': {'weight_decay_rate': 0.1},
    'AMSGrad': {},
    'AdaBound': {'alpha': 0.1, 'gamma': 0.5},
    'AMSBound': {'alpha': 0.1, 'gamma': 0.5},
    'CorrectedMomentumSGD': {},
    'MomentumSGD': {},
    'MSVAG': {},
    'NesterovAG': {},
    'RMSprop': {'eps': 1e-4},
    'RMSpropGraves': {},
    'SGD': {},
    'SMORMS3': {},
}
HOOKS = {
    'none': [],
    'decay': [optimizer_hooks.WeightDecay(0.1)],
    'lasso': [optimizer_hooks.Lasso(0.1)],
    'hard': [optimizer_hooks.GradientHardClipping(-0.5, 0.6)],
    'clip': [optimizer_hooks.GradientClipping(2.0)],
    'clip nothing': [optimizer_hooks.GradientClipping(1e4)],
    'decay, clip, decay, hard': [
        optimizer_hooks.WeightDecay(0.5),
        optimizer_hooks.GradientClipping(3.0),
        optimizer_hooks.WeightDecay(0.1),
        optimizer_hooks.GradientHardClipping(-0.01, 0.02),
    ],
}
SHAPES = [(3,), (), (2, 0), (5, 7000), (4, 3), (7,), (1, 2, 3, 4)]
DEVICES = ['@numpy', pytest.param('@cupy:0', marks=pytest.mark.gpu)]


class Model(chainlite.Link):
    """Parameters of many shapes, the last of another dtype."""

    def __init__(self, dtype='f', device='@numpy'):
        super().__init__()
        random = np.random.RandomState(0)
        with self.init_scope():
            for i, shape in enumerate(SHAPES):
                kind = 'd' if i == len(SHAPES) - 1 else dtype
                setattr(self, f'w{i}', chainlite.Parameter(np.asarray(random.randn(*shape)).astype(kind)))
        self.to_device(device)

    def set_grads(self, step=0, loss_scale=None):
        random = np.random.RandomState(step)
        for param in self.params():
            grad = np.asarray(random.randn(*param.shape)) * (loss_scale or 1)
            param.grad = self.device.send(grad.astype(param.dtype))
            param._loss_scale = loss_scale


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def watch(optimizer, param):
    """An unknown hook: parameters and hooks go Chainer's way."""


def alone(optimizer):
    """Makes an optimizer update each parameter for itself and call each hook."""
    optimizer.add_hook(lambda optimizer: None, 'unknown')
    for param in optimizer.target.params():
        if param.update_rule is not None:
            param.update_rule.add_hook(watch, 'unknown')
    return optimizer


def arrays(optimizer):
    """All that an update changes."""
    found = {}
    for name, param in optimizer.target.namedparams():
        found[name], found[name + '.grad'] = param.array, param.grad
        found[name + '.t'] = np.array(getattr(param.update_rule, 't', -1))
        for key, value in (getattr(param.update_rule, 'state', None) or {}).items():
            found[f'{name}.{key}'] = value
    return {name: np.array(cuda.to_cpu(array)) for name, array in found.items()}


def agree(one, other, dtype, device):
    ours, expected = arrays(one), arrays(other)
    assert ours.keys() == expected.keys()
    for name, array in ours.items():
        assert array.dtype == expected[name].dtype
        in_float64 = array.ndim == 0 and np.lib.NumpyVersion(np.__version__) < '2.0.0'  # single numbers, by NumPy 1
        if device == '@numpy' and dtype in 'fd' and not in_float64:
            np.testing.assert_array_equal(array, expected[name], err_msg=name)
        else:
            # In 16 bits the steps of a single update are rounded one by one, and the norm is that of rounded gradients.
            rounding = {'e': 4e-3, 'f': 3e-6, 'd': 1e-13 if dtype == 'd' else 3e-6}[dtype]
            np.testing.assert_allclose(array, expected[name], rtol=rounding, atol=rounding, err_msg=name)


def pair(name, dtype, device, prepare=lambda optimizer: None, **arguments):
    """An optimizer that updates together and one that does not, otherwise alike."""
    made = []
    for _ in range(2):
        optimizer = getattr(optimizers, name)(**(arguments or OPTIMIZERS[name])).setup(Model(dtype, device))
        prepare(optimizer)
        made.append(optimizer)
    return made[0], alone(made[1])


def steps(one, other, count=3, loss_scale=None, before=lambda optimizer, step: None):
    for step in range(count):
        for optimizer in (one, other):
            optimizer.target.set_grads(step, loss_scale)
            before(optimizer, step)
            optimizer.update()


@pytest.fixture
def single_updates(monkeypatch):
    """Collects the parameters that are updated alone."""
    seen = []
    monkeypatch.setattr(chainlite.Parameter, 'update', lambda p, do=chainlite.Parameter.update: (seen.append(p), do(p)))
    return seen


@pytest.mark.parametrize('name', OPTIMIZERS)
@pytest.mark.parametrize('dtype', 'efd')
def test_results_are_those_of_single_updates(name, dtype, device, single_updates):
    one, other = pair(name, dtype, device)
    steps(one, other)
    agree(one, other, dtype, device)
    mine = {id(param) for param in one.target.params()}
    assert not [p for p in single_updates if id(p) in mine]


@pytest.mark.parametrize('hooks', HOOKS)
@pytest.mark.parametrize('loss_scale', [None, 8.0])
@pytest.mark.parametrize('fp32', [False, True])
@pytest.mark.parametrize('dtype', 'ef')
def test_hooks_loss_scale_and_float32_copies_change_nothing_else(hooks, loss_scale, fp32, dtype, device):
    if (hooks, dtype) == ('lasso', 'e'):
        dtype = 'f'  # the sign of what is nearly 0 is a matter of rounding

    def prepare(optimizer):
        for i, hook in enumerate(HOOKS[hooks]):
            optimizer.add_hook(copy.copy(hook), f'hook {i}')
        if fp32:
            optimizer.use_fp32_update()

    one, other = pair('MomentumSGD', dtype, device, prepare, lr=0.1)
    steps(one, other, loss_scale=loss_scale)
    agree(one, other, dtype, device)


def test_hooks_of_single_rules_join(device, single_updates):
    def prepare(optimizer):
        for i, param in enumerate(optimizer.target.params()):
            if i % 2:
                param.update_rule.add_hook(optimizer_hooks.WeightDecay(0.1 * i))
                param.update_rule.add_hook(optimizer_hooks.GradientHardClipping(-0.5, 0.5))

    one, other = pair('Adam', 'f', device, prepare)
    steps(one, other, loss_scale=4.0)
    agree(one, other, 'f', device)
    assert all([p.update_rule._hooks.pre.get('unknown') for p in single_updates])


def test_what_is_special_goes_its_own_way(device):
    class Doubled(type(optimizers.SGD().create_update_rule())):
        def update_core(self, param):
            super().update_core(param)
            super().update_core(param)

    def prepare(optimizer):
        model = optimizer.target
        model.w0.update_rule.enabled = False
        model.w2.update_rule.enabled = False
        model.w3.update_rule = None
        model.w4.update_rule.hyperparam.lr = 0.5
        model.w5.update_rule = Doubled(optimizer.hyperparam)
        optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
        optimizer.add_hook(optimizer_hooks.GradientClipping(1.0))

    def before(optimizer, step):
        optimizer.target.w6.cleargrad()
        if step == 1:
            optimizer.lr = 0.25
        if step == 2:
            optimizer.target.w0.update_rule.enabled = True

    one, other = pair('SGD', 'f', device, prepare, lr=0.1)
    start = arrays(one)
    steps(one, other, before=before)
    agree(one, other, 'f', device)
    changed = {name for name, array in arrays(one).items() if name in start and not np.array_equal(array, start[name])}
    assert {'/w0', '/w1', '/w4', '/w5'} <= changed and '/w3' not in changed


def test_replaced_method_of_a_rule_is_called(device):
    optimizer = optimizers.SGD(lr=1).setup(Model(device=device))
    optimizer.target.set_grads()
    calls = []
    optimizer.target.w1.update_rule.update_core = calls.append
    before = arrays(optimizer)
    optimizer.update()
    assert calls == [optimizer.target.w1]
    np.testing.assert_array_equal(arrays(optimizer)['/w1'], before['/w1'])


def test_replaced_method_of_a_class_is_called(monkeypatch, device):
    optimizer = optimizers.SGD(lr=1).setup(Model(device=device))
    optimizer.target.set_grads()
    calls = []
    cls = type(optimizer.target.w1.update_rule)
    method = f'update_core_{"cpu" if optimizer.target.xp is np else "gpu"}'
    monkeypatch.setattr(cls, method, lambda rule, param: calls.append(param))
    optimizer.update()
    assert len(calls) == len(SHAPES)


def test_hooks_before_an_unknown_one_are_called_first(device):
    seen = []
    optimizer = optimizers.SGD(lr=1).setup(Model(device=device))
    optimizer.target.set_grads()
    expected = 0.5 * arrays(optimizer)['/w0'] + arrays(optimizer)['/w0.grad']
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
    optimizer.add_hook(lambda optimizer: seen.append(cuda.to_cpu(optimizer.target.w0.grad.copy())), 'look')
    optimizer.add_hook(optimizer_hooks.Lasso(0.5))
    optimizer.update()
    np.testing.assert_allclose(seen[0], expected, rtol=1e-6)


def test_subclass_of_a_hook_is_called(device):
    class Twice(optimizer_hooks.WeightDecay):
        def __call__(self, rule, param):
            super().__call__(rule, param)
            super().__call__(rule, param)

    one, other = pair('SGD', 'f', device, lambda optimizer: optimizer.add_hook(Twice(0.1)))
    steps(one, other)
    agree(one, other, 'f', device)


def test_overridden_call_hook_is_called(device):
    class Mine(optimizers.SGD):
        def call_hook(self, hook):
            calls.append(hook)
            super().call_hook(hook)

    calls = []
    optimizer = Mine().setup(Model(device=device))
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
    optimizer.target.set_grads()
    optimizer.update()
    assert len(calls) == 1


def test_parameter_that_is_there_twice_is_updated_twice(device):
    links = [Model(device=device) for _ in range(2)]
    twice = chainlite.ChainList(links[0], chainlite.ChainList(links[0]))
    optimizer = optimizers.MomentumSGD().setup(twice)
    for link in links:
        link.set_grads()
    rules = [optimizers.MomentumSGD().create_update_rule() for _ in SHAPES]
    for _ in range(2):
        optimizer.update()
        for _ in range(2):
            for rule, param in zip(rules, links[1].params()):
                rule.update(param)
    for a, b in zip(links[0].params(), links[1].params()):
        np.testing.assert_array_equal(cuda.to_cpu(a.array), cuda.to_cpu(b.array))
        assert a.update_rule.t == 4


def test_parameters_that_share_an_array_see_each_others_updates(device):
    model = chainlite.ChainList(Model(device=device), Model(device=device))
    for i in range(len(SHAPES)):
        getattr(model[1], f'w{i}').array = getattr(model[0], f'w{i}').array
    before = cuda.to_cpu(model[0].w3.array.copy())
    optimizer = optimizers.SGD(lr=1).setup(model)
    model[0].set_grads(0)
    model[1].set_grads(1)
    optimizer.update()
    expected = before - cuda.to_cpu(model[0].w3.grad) - cuda.to_cpu(model[1].w3.grad)
    np.testing.assert_allclose(cuda.to_cpu(model[1].w3.array), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('shared', ['arrays', 'gradients'])
def test_hooks_see_what_parameters_share_before_the_first_update(shared, device):
    model = chainlite.ChainList(Model(device=device), Model(device=device))
    optimizer = optimizers.SGD(lr=1).setup(model)
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
    for i in 0, 1:
        model[i].set_grads(i)
    one, other = model[0].w3, model[1].w3
    if shared == 'arrays':
        other.array = one.array
    else:
        other.grad = one.grad
    a, b, g, h = [cuda.to_cpu(x.copy()) for x in (one.array, other.array, one.grad, other.grad)]
    optimizer.update()
    if shared == 'arrays':
        expected = (a - (g + a / 2) - (h + a / 2),) * 2
    else:
        total = g + a / 2 + b / 2
        expected = a - total, b - total
    for param, array in zip((one, other), expected):
        np.testing.assert_allclose(cuda.to_cpu(param.array), array, rtol=1e-6, atol=1e-6)


def test_strided_arrays_are_updated(device):
    one, other = pair('Adam', 'f', device)
    for optimizer in one, other:
        param = optimizer.target.w4
        param.array = param.array.T.copy().T  # in column order
    steps(one, other)
    agree(one, other, 'f', device)
    assert not one.target.w4.array.flags.c_contiguous


NUMBERS = {
    'float64': np.float64,
    'int': lambda x: int(np.ceil(x)),
    'array': np.array,
    'cupy float64': lambda x: cuda.cupy.array(x),
    'cupy float32': lambda x: cuda.cupy.array(x, 'f'),
}


@pytest.mark.parametrize('kind', [pytest.param(kind, marks=[pytest.mark.gpu] * ('cupy' in kind)) for kind in NUMBERS])
@pytest.mark.parametrize('name', ['MomentumSGD', 'Adam'])
def test_numbers_may_be_those_of_numpy(name, kind, device):
    if 'cupy' in kind:
        pytest.importorskip('cupy')
        device = '@cupy:0'
    number = NUMBERS[kind](0.0625)
    one, other = pair(name, 'f', device)
    attribute = 'alpha' if name == 'Adam' else 'lr'
    for optimizer, value in (one, number), (other, float(number)):
        setattr(optimizer, attribute, value)
        optimizer.add_hook(optimizer_hooks.WeightDecay(value if 'cupy' not in kind else float(value)))
        if 'cupy' not in kind:
            rule = optimizer.target.w0.update_rule
            setattr(rule.hyperparam, attribute, value)
            rule.add_hook(optimizer_hooks.WeightDecay(value))
    steps(one, other)
    agree(one, other, 'f', device)


@pytest.mark.parametrize('make', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copy_of_an_optimizer_goes_on_alike(make, device):
    one = optimizers.Adam().setup(Model(device=device))
    one.target.set_grads()
    one.update()
    other = make(one)
    for optimizer in one, other:
        optimizer.target.set_grads(1)
        optimizer.update()
    agree(one, other, 'f', '@numpy')
    assert other.target.w0.array is not one.target.w0.array


@pytest.mark.gpu
def test_optimizer_follows_its_model_between_devices():
    one = optimizers.Adam().setup(Model(device='@cupy:0'))
    other = optimizers.Adam().setup(Model())
    for step, place in enumerate(['@cupy:0', '@numpy', '@cupy:0']):
        one.target.to_device(place)
        for optimizer in one, other:
            optimizer.target.set_grads(step)
            optimizer.update()
    agree(one, other, 'f', '@cupy:0')


# ---- errors ---------------------------------------------------------------------------------------------------------


def unchanged(optimizer, before):
    now = arrays(optimizer)
    return now.keys() == before.keys() and all(
        [np.array_equal(now[name], before[name], equal_nan=True) for name in now]
    )


@pytest.mark.parametrize(
    'make, error, text',
    [
        (lambda xp: xp.zeros((4, 1), 'f'), ValueError, r'has shape \(4, 1\), but the parameter has shape \(4, 3\)'),
        (lambda xp: xp.zeros((4, 3), 'i'), TypeError, 'has dtype int32, but the parameter has dtype float32'),
    ],
)
def test_gradient_that_does_not_fit_is_refused_before_anything_changes(device, make, error, text):
    optimizer = optimizers.Adam().setup(Model(device=device))
    optimizer.target.set_grads()
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
    before = arrays(optimizer)
    param = optimizer.target.w4
    good = param.grad
    param.grad_var._array = make(param.xp)
    with pytest.raises(error, match=f'the gradient of parameter w4 {text}'):
        optimizer.update()
    param.grad = good
    assert unchanged(optimizer, before) and optimizer.t == 0


@pytest.mark.gpu
def test_gradient_of_another_device_is_refused():
    optimizer = optimizers.SGD().setup(Model())
    optimizer.target.set_grads()
    optimizer.target.w4.grad_var._array = cuda.to_gpu(optimizer.target.w4.grad)
    with pytest.raises(TypeError, match='the gradient of parameter w4 is a .*cupy.*, but the parameter is a .*numpy'):
        optimizer.update()


@pytest.mark.parametrize('fp32', [False, True])
def test_states_that_cannot_be_made_leave_all_as_it_was(device, fp32, monkeypatch):
    optimizer = optimizers.Adam().setup(Model('e', device))
    if fp32:
        optimizer.use_fp32_update()
    optimizer.target.set_grads()
    before = arrays(optimizer)
    cls = type(optimizer.target.w0.update_rule)
    made = []

    def fail(rule, param, do=cls.init_state):
        made.append(rule)
        if len(made) == 5:
            raise MemoryError('no more')
        do(rule, param)

    monkeypatch.setattr(cls, 'init_state', fail)
    with pytest.raises(MemoryError):
        optimizer.update()
    assert unchanged(optimizer, before) and optimizer.t == 0
    assert all([p.update_rule._fp32_param is None for p in optimizer.target.params()])
    optimizer.update()
    assert not unchanged(optimizer, before)


def test_hyperparameter_that_is_refused_leaves_all_as_it_was(device):
    optimizer = optimizers.RMSprop().setup(Model(device=device))
    optimizer.target.set_grads()
    optimizer.update()
    optimizer.eps = 1e-60
    before = arrays(optimizer)
    with pytest.raises(ValueError, match='too small for float32'):
        optimizer.update()
    assert unchanged(optimizer, before) and optimizer.t == 1


# ---- GPUs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def null_driver():
    """Counts launches; only the stand-in can."""
    import cuda_on_cpu

    if not cuda_on_cpu.enabled():
        pytest.skip('counting launches needs the stand-in (CHAINLITE_CUDA_ON_CPU=1)')
    return cuda_on_cpu.null_driver


@pytest.mark.gpu
@pytest.mark.parametrize('hooks, launches', [('none', 2), ('decay', 2), ('clip', 5), ('decay, clip, decay, hard', 7)])
def test_an_update_is_one_launch_for_each_dtype(hooks, launches, null_driver):
    optimizer = optimizers.Adam().setup(Model(device='@cupy:0'))
    for i, hook in enumerate(HOOKS[hooks]):
        optimizer.add_hook(hook, f'{i}')
    optimizer.target.set_grads()
    optimizer.update()
    with null_driver() as counts:
        optimizer.update()
    assert sum(counts.values()) == launches, counts


class Recording:
    """An update in a CUDA graph, with gradients at fixed addresses."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.stream = cuda.cupy.cuda.Stream(non_blocking=True)
        with self.stream:
            self.stream.begin_capture()
            optimizer.update()
            self.graph = self.stream.end_capture()

    def launch(self, **arguments):
        with self.stream:
            self.optimizer.refresh_scalars(**arguments)
            self.graph.launch(self.stream)
        self.stream.synchronize()


def write_grads(optimizer, step):
    grads = [(param, param.grad) for param in optimizer.target.params()]
    optimizer.target.set_grads(step)
    for param, grad in grads:
        grad[...] = param.grad
        param.grad = grad
    cuda.cupy.cuda.Device().synchronize()


@pytest.mark.gpu
@pytest.mark.parametrize('name', ['SGD', 'Adam', 'AMSBound', 'MSVAG'])
@pytest.mark.parametrize('hooks', ['none', 'decay, clip, decay, hard'])
def test_replayed_update_takes_new_numbers(name, hooks):
    def change(optimizer, step):
        if step == 2:
            attribute = 'alpha' if hasattr(optimizer, 'alpha') else 'lr'
            setattr(optimizer, attribute, getattr(optimizer, attribute) * 3)
        for hook in optimizer._hooks.pre.values() if step == 3 else ():
            if hasattr(hook, 'threshold'):
                hook.threshold = 1.0
            if hasattr(hook, 'rate'):
                hook.rate *= 2

    one, other = (getattr(optimizers, name)(**OPTIMIZERS[name]).setup(Model(device='@cupy:0')) for _ in range(2))
    for optimizer in one, other:
        for i, hook in enumerate(HOOKS[hooks]):
            optimizer.add_hook(copy.copy(hook), f'{i}')
        optimizer.target.set_grads(0)
        optimizer.update()  # makes the states
        write_grads(optimizer, 1)
    before = arrays(one)
    recording = Recording(one)
    assert np.array_equal(arrays(one)['/w3'], before['/w3'])
    recording.launch(count=False)
    other.update()
    for step in range(2, 5):
        for optimizer in one, other:
            write_grads(optimizer, step)
            change(optimizer, step)
        recording.launch()
        other.update()
        assert one.t == other.t
        agree(one, other, 'd', '@cupy:0')


@pytest.mark.gpu
def test_update_beside_a_recorded_one_leaves_it_as_it_is():
    one, other = (optimizers.SGD().setup(Model(device='@cupy:0')) for _ in range(2))
    for optimizer in one, other:
        optimizer.target.set_grads(0)
    kept = [param.grad for param in one.target.params()]
    recording = Recording(one)
    recording.launch(count=False)
    other.update()
    for optimizer in one, other:
        optimizer.target.set_grads(1)
        optimizer.update()
    for param, grad in zip(one.target.params(), kept):
        param.grad = grad
    other.target.set_grads(0)
    recording.launch()
    other.update()
    agree(one, other, 'd', '@cupy:0')


@pytest.mark.gpu
def test_update_that_cannot_be_replayed_is_refused():
    optimizer = optimizers.SGD().setup(Model(device='@cupy:0'))
    optimizer.target.set_grads()
    with pytest.raises(RuntimeError, match='no update was recorded'):
        optimizer.refresh_scalars()
    optimizer.target.w1.update_rule.add_hook(watch, 'unknown')
    optimizer.update()
    recording = Recording(optimizer)
    with pytest.raises(RuntimeError, match=r'cannot be replayed: .* \(w1\)'):
        recording.launch(count=False)


# ---- loss scale -----------------------------------------------------------------------------------------------------


def test_overflow_is_found_by_name_and_leaves_the_update_out(device):
    optimizer = optimizers.SGD().setup(Model('e', device))
    optimizer.loss_scaling()
    optimizer.target.set_grads()
    optimizer.target.w3.grad[2, 3456], optimizer.target.w6.grad[0, 0, 1, 2] = np.inf, np.nan
    before = arrays(optimizer)
    with pytest.warns(UserWarning, match='Non finite number found') as record:
        optimizer.update()
    assert [str(w.message).split()[7] for w in record] == ['/w3', '/w6']
    assert unchanged(optimizer, before) and not optimizer.is_safe_to_update()
    optimizer.target.set_grads()
    optimizer.update()
    assert optimizer.is_safe_to_update()


@pytest.mark.gpu
def test_look_for_overflows_is_one_launch_for_each_dtype(null_driver):
    optimizer = optimizers.SGD().setup(Model('e', '@cupy:0'))
    optimizer.loss_scaling()
    optimizer.target.set_grads()
    optimizer.update()
    with null_driver() as counts:
        optimizer.check_nan_in_grads()
    assert sum([n for name, n in counts.items() if name.startswith('find_not_finite')]) == 2
    assert sum(counts.values()) <= 3, counts


def test_overridden_call_hooks_may_replace_gradients(device):
    class Mine(optimizers.SGD):
        def call_hooks(self, timing='pre'):
            super().call_hooks(timing)
            if timing == 'pre':
                for param in self.target.params():
                    param.grad = param.xp.ones_like(param.array)

    optimizer = Mine(lr=1).setup(Model(device=device))
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
    optimizer.target.set_grads()
    before = arrays(optimizer)
    optimizer.update()
    np.testing.assert_allclose(arrays(optimizer)['/w3'], before['/w3'] - 1, rtol=1e-6, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', 'efd')
@pytest.mark.parametrize('threshold', [1e-2, 5.0])
def test_lars_on_the_gpu_is_that_of_the_cpu_and_reads_nothing_back(dtype, threshold):
    found = []
    for place in '@numpy', '@cupy:0':
        optimizer = optimizers.SGD(lr=0.1).setup(Model(dtype, place))
        optimizer.add_hook(optimizer_hooks.GradientLARS(threshold, 0.1))
        for step in range(2):
            optimizer.target.set_grads(step)
            optimizer.update()
        found.append(optimizer)
    agree(found[1], found[0], dtype, '@cupy:0')
    stream = cuda.cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()  # under which reading is an error
        found[1].update()
        stream.end_capture()
