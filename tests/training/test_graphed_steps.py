"""StandardUpdater(graph=True): steps as CUDA graphs compute what ordinary steps do."""

import contextlib
import random
import warnings
import weakref

import cuda_on_cpu
import numpy as np
import pytest

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite import training
from chainlite.datasets import TupleDataset
from chainlite.iterators import SerialIterator
from chainlite.training import extensions
from chainlite.training.updaters import StandardUpdater

N, BATCH = 26, 4


def images(x):
    return F.reshape(x, (len(x), 1, 8, 8))


def perceptron():
    return chainer.Sequential(L.Linear(64, 10), F.relu, L.Linear(10, 10), F.tanh, L.Linear(10, 4))


def lenet():
    def pool(x):
        return F.max_pooling_2d(F.relu(x), 2)

    return chainer.Sequential(
        images,
        L.Convolution2D(1, 3, 3),
        pool,
        L.Convolution2D(3, 4, 2),
        F.relu,
        L.Linear(16, 8),
        F.relu,
        L.Linear(8, 4),
    )


class Residual(chainer.Chain):
    """Two convolutions with batch normalization, a shortcut, and dropout."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.first = L.Convolution2D(1, 4, 3, pad=1, nobias=True)
            self.norm1, self.norm2 = L.BatchNormalization(4), L.BatchNormalization(4)
            self.second = L.Convolution2D(4, 4, 3, pad=1, nobias=True)
            self.last = L.Linear(4, 4)

    def forward(self, x):
        h = F.relu(self.norm1(self.first(images(x))))
        self.normalized = self.norm2(self.second(h))
        h = F.relu(self.normalized + h)
        return self.last(F.dropout(F.average(h, (2, 3)), 0.3))


class Words(chainer.Chain):
    """An embedding, an LSTM over sequences, attention by products."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.embed, self.lstm, self.last = L.EmbedID(9, 5), L.NStepLSTM(1, 5, 4, 0.2), L.Linear(4, 4)

    def forward(self, x):
        words = F.reshape(self.embed(F.absolute(x * 8).array.astype('i')), (len(x) * 4, -1, 5))
        _, _, ys = self.lstm(None, None, list(words))
        h = F.reshape(F.stack(ys), (len(x), -1, 4))
        weights = F.softmax(F.matmul(h, h, transb=True), axis=2)
        return self.last(F.mean(F.matmul(weights, h), axis=1))


MODELS = {'perceptron': perceptron, 'lenet': lenet, 'residual': Residual, 'words': Words}
OPTIMIZERS = {
    'SGD': lambda: chainer.optimizers.SGD(0.1),
    'MomentumSGD': lambda: chainer.optimizers.MomentumSGD(0.05),
    'Adam': lambda: chainer.optimizers.Adam(0.01),
}


def examples(dtype='f'):
    drawn = np.random.RandomState(3)
    scale = 16 if dtype == 'e' else 1  # enough for gradients that overflow
    return TupleDataset(drawn.uniform(-scale, scale, (N, 64)).astype(dtype), drawn.randint(0, 4, N).astype('i'))


class Run:
    """A classifier with its updater, its reporter and what it has reported."""

    def __init__(self, make_model=perceptron, optimizer='SGD', graph=True, device='@cupy:0', dtype='f', **options):
        np.random.seed(0)
        chainer.get_device(device).use()
        if device != '@numpy':
            chainer.get_device(device).xp.random.seed(0)
        with chainer.using_config('dtype', np.dtype(dtype)):
            self.model = L.Classifier(make_model())
        self.optimizer = OPTIMIZERS[optimizer]().setup(self.model)
        iterator = SerialIterator(examples(dtype), BATCH, shuffle=False)
        if graph is not None:
            options['graph'] = graph
        self.updater = StandardUpdater(iterator, self.optimizer, device=device, **options)
        self.reporter = chainer.Reporter()
        self.reporter.add_observer('main', self.model)
        self.reported = []

    def steps(self, n):
        for _ in range(n):
            observation = {}
            with self.reporter, self.reporter.scope(observation):
                self.updater.update()
            self.reported.append(observation)
        return self

    @property
    def graphs(self):
        return list(self.updater._graphed_steps._graphs.values())

    def state(self):
        """All that training has changed."""
        values = {name: chainer.cuda.to_cpu(p.array) for name, p in self.model.namedparams()}
        for name, param in self.model.namedparams():
            values[name + '/t'] = param.update_rule.t
            values |= {f'{name}/{key}': chainer.cuda.to_cpu(v) for key, v in (param.update_rule.state or {}).items()}
            values[name + '/grad'] = chainer.cuda.to_cpu(param.grad)
        for name, link in self.model.namedlinks():
            values |= {f'{name}/{p}': chainer.cuda.to_cpu(getattr(link, p)) for p in link._persistent}
        values['t'], values['epoch'], values['scale'] = (
            self.optimizer.t,
            self.optimizer.epoch,
            self.optimizer._loss_scale,
        )
        if isinstance(self.model.predictor, Residual):
            values['normalized'] = chainer.cuda.to_cpu(self.model.predictor.normalized.array)
        for i, observation in enumerate(self.reported):
            values |= {f'{i}/{name}': chainer.cuda.to_cpu(v.array) for name, v in observation.items()}
        return values


def assert_same(one, other):
    one, other = one.state(), other.state()
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def device(cupy):
    yield
    chainer.get_device('@numpy').use()


@pytest.fixture
def cupy():
    return pytest.importorskip('cupy')


@pytest.mark.parametrize('optimizer', OPTIMIZERS)
@pytest.mark.parametrize('model', MODELS)
def test_steps_equal_ordinary_ones_bit_by_bit(model, optimizer):
    graphed = Run(MODELS[model], optimizer).steps(17)
    assert len(graphed.graphs) >= 1
    assert_same(graphed, Run(MODELS[model], optimizer, graph=False).steps(17))


@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_learning_rate_takes_effect_at_the_next_step(optimizer):
    def run(graph):
        run = Run(optimizer=optimizer, graph=graph).steps(6)
        for attribute in ('lr', 'alpha'):
            if hasattr(type(run.optimizer), attribute) and hasattr(run.optimizer.hyperparam, attribute):
                setattr(run.optimizer, attribute, getattr(run.optimizer, attribute) / 8)
        run.steps(3)
        return run

    graphed = run(True)
    assert len(graphed.graphs) == 1
    assert_same(graphed, run(False))


def test_extensions_that_shift_and_evaluate_work_beside_a_graph(tmp_path):
    def run(graph):
        run = Run(Residual, 'MomentumSGD', graph)
        trainer = training.Trainer(run.updater, (14, 'iteration'), out=tmp_path)
        trainer.extend(extensions.ExponentialShift('lr', 0.5), trigger=(5, 'iteration'))
        test = SerialIterator(examples(), 13, repeat=False, shuffle=False)
        trainer.extend(extensions.Evaluator(test, run.model, device='@cupy:0'), trigger=(4, 'iteration'))
        trainer.extend(extensions.LogReport(trigger=(2, 'iteration'), filename=None), name='log')
        trainer.run()
        return run, trainer.get_extension('log').log

    (graphed, log), (ordinary, expected) = run(True), run(False)
    assert len(graphed.graphs) == 1
    assert_same(graphed, ordinary)
    for entry in (*log, *expected):
        del entry['elapsed_time']
    assert log == expected


@pytest.mark.parametrize('dynamic', [False, True])
def test_half_precision_with_a_loss_scale(dynamic):
    def run(graph):
        run = Run(optimizer='MomentumSGD', graph=graph, dtype='e')
        run.optimizer.use_fp32_update()
        if dynamic:
            run.optimizer.loss_scaling()
            run.optimizer._loss_scale = 2.0**13  # doubles until gradients overflow
        else:
            run.optimizer.loss_scaling(scale=64.0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            run.steps(12)
        return run, [str(w.message) for w in caught]

    (graphed, warned), (ordinary, expected) = run(True), run(False)
    assert graphed.graphs
    assert_same(graphed, ordinary)
    assert warned == expected
    assert bool(expected) == dynamic


def test_observations_are_copies_that_later_steps_leave_alone():
    run = Run().steps(8)
    losses = [float(observation['main/loss'].array) for observation in run.reported]
    assert len(set(losses)) == 8
    assert all(set(observation) == {'main/loss', 'main/accuracy'} for observation in run.reported)


def test_a_step_does_not_wait_for_the_device():
    if not cuda_on_cpu.enabled():
        pytest.skip('only the stand-in can let work wait for good')
    run = Run(Residual, 'Adam').steps(5)
    with cuda_on_cpu.lazy_default_stream():
        run.steps(3)
        assert not chainer.cuda.cupy.cuda.Stream.null.done


def with_teacher(graph, backprop):
    """The loss compares with another model, which changes once."""
    run = Run(graph=graph)
    other = L.Linear(64, 4)
    other.to_device('@cupy:0')

    def loss(x, t):
        with chainer.using_config('enable_backprop', backprop):
            y = other(x)
        return F.mean_squared_error(run.model.predictor(x), y)

    run.updater.loss_func = loss
    run.steps(5)
    other.W.array = other.W.array * 2
    run.steps(4)
    return run, other


def test_other_models_in_the_loss_function_are_watched():
    graphed, _ = with_teacher(True, False)
    assert len(graphed.graphs) == 1
    assert_same(graphed, with_teacher(False, False)[0])


def test_gradients_of_other_models_add_up_as_ever():
    with one_warning('add up'):
        graphed, other = with_teacher(True, True)
    ordinary, expected = with_teacher(False, True)
    assert_same(graphed, ordinary)
    np.testing.assert_array_equal(other.W.grad.get(), expected.W.grad.get())


def test_the_graph_of_the_step_before_is_let_go_of_before_a_capture():
    run = Run()
    alive, before = [], []

    def loss(x, t):
        loss = run.model(x, t)
        alive.append([node() is not None for node in before])
        before[:] = [weakref.ref(loss.creator)]
        return loss

    run.updater.loss_func = loss
    run.steps(4)
    assert run.graphs
    assert alive == [[], [False], [False], [False]]  # two ordinary steps and two captures


class Batches(chainer.dataset.Iterator):
    """Batches of the sizes given, over and over."""

    epoch, epoch_detail, previous_epoch_detail, is_new_epoch = 0, 0.0, 0.0, False

    def __init__(self, sizes, make=lambda x, t: (x, t)):
        self.sizes, self.make, self.i = sizes, make, 0

    def __next__(self):
        size = self.sizes[self.i % len(self.sizes)]
        self.i += 1
        drawn = np.random.RandomState(self.i)
        x, t = drawn.uniform(-1, 1, (size, 64)).astype('f'), drawn.randint(0, 4, size).astype('i')
        return [self.make(a, b) for a, b in zip(x, t)]


def with_batches(graph, *sizes, make=lambda x, t: (x, t), label_key=-1, make_model=perceptron):
    run = Run(make_model, graph=graph)
    run.updater._iterators['main'] = Batches(sizes, make)
    run.model.label_key = label_key
    return run


def test_each_shape_has_a_graph_of_its_own_and_the_one_used_last_goes_first():
    sizes = 4, 4, 2, 6, 3, 5
    graphed = with_batches(True, *sizes).steps(36)
    assert [step.inputs[0][0].shape[0] for step in graphed.graphs] == [2, 6, 3, 5]
    assert_same(graphed, with_batches(False, *sizes).steps(36))


@pytest.mark.parametrize('model', [Residual, Words])
def test_graphs_that_take_turns_do_not_disturb_each_other(model):
    def run(graph):
        chainer.cuda.cupy.random.seed(0)
        run = with_batches(graph, 4, 2, 3, make_model=model)
        run.optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(0.5))
        return run.steps(15)

    graphed = run(True)
    assert len(graphed.graphs) == 3
    assert_same(graphed, run(False))


def test_batches_that_are_always_different_run_as_usual():
    sizes = range(1, 41)
    graphed = with_batches(True, *sizes).steps(45)
    assert not graphed.graphs
    assert_same(graphed, with_batches(False, *sizes).steps(45))


def test_dictionaries_are_batches_too():
    def run(graph):
        def make(x, t):
            return {'x': x, 'label': t}

        return with_batches(graph, 4, make=make, label_key='label', make_model=Residual).steps(6)

    graphed = run(True)
    assert len(graphed.graphs) == 1
    assert_same(graphed, run(False))


# ---- what cannot be captured -----------------------------------------------------------------------------------------


class Looking(chainer.Chain):
    """Reads a value on the host in each step, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        with self.init_scope():
            self.norm, self.layer = L.BatchNormalization(64), L.Linear(64, 4)

    def forward(self, x):
        self.calls += 1
        h = self.norm(x)
        return self.layer(h) * (1 + int(float(F.sum(h).array) > 1e6))


@contextlib.contextmanager
def one_warning(match):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        yield
    messages = [str(w.message) for w in caught]
    assert len(messages) == 1 and match in messages[0], messages
    assert caught[0].category is RuntimeWarning


@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_reading_a_value_is_warned_of_once_and_no_step_is_done_twice_or_left_out(optimizer):
    with one_warning(f'D2H transfers are disallowed, in forward ({__file__}:'):
        graphed = Run(Looking, optimizer).steps(9)
    assert not graphed.graphs
    assert graphed.model.predictor.calls == 9
    assert_same(graphed, Run(Looking, optimizer, graph=False).steps(9))


class Counting(Looking):
    def forward(self, x):
        self.calls += 1
        return self.layer(self.norm(x)) / self.calls


class Remembering(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.lstm, self.layer = L.LSTM(64, 3), L.Linear(3, 4)

    def forward(self, x):
        self.lstm.reset_state()
        return self.layer(self.lstm(x))


class Unrolling(Remembering):
    """Goes on from the state of the step before, also backwards."""

    def forward(self, x):
        return self.layer(self.lstm(x))


class Sliding(Looking):
    """Keeps an average by another array in each step."""

    def __init__(self):
        super().__init__()
        self.add_persistent('mean', np.zeros((), 'f'))

    def forward(self, x):
        h = self.layer(self.norm(x))
        self.mean = self.mean * 0.9 + h.array.mean()
        return h


class SlidingUnregistered(Looking):
    """The same with an attribute that is None at first."""

    mean = None

    def forward(self, x):
        h = self.layer(self.norm(x))
        self.mean = h.array.mean() if self.mean is None else self.mean * 0.9 + h.array.mean()
        return h - self.mean


class Recurrent(Looking):
    """Goes on from a Variable of the step before."""

    last = None

    def forward(self, x):
        h = self.layer(self.norm(x))
        if self.last is not None:
            self.last.unchain_backward()
            h = F.tanh(h + self.last)
        self.last = h
        return h


class Collecting(Looking):
    """Has a list that grows."""

    def __init__(self):
        super().__init__()
        self.means = []

    def forward(self, x):
        h = self.layer(self.norm(x))
        self.means.append(h.array.mean())
        return h


class SlidingInList(Looking):
    """Keeps an average in a list."""

    def __init__(self):
        super().__init__()
        self.means = [0.0]

    def forward(self, x):
        h = self.layer(self.norm(x))
        self.means[0] = self.means[0] * 0.9 + h.array.mean()
        return h - self.means[0]


class SlidingInObject(Looking):
    """Keeps an average in an object."""

    def __init__(self):
        super().__init__()
        self.state = Settings(mean=0.0)
        self.state.itself = self.state

    def forward(self, x):
        h = self.layer(self.norm(x))
        self.state.mean = self.state.mean * 0.9 + h.array.mean()
        return h - self.state.mean


class Settings:
    def __init__(self, **values):
        vars(self).update(values)


class Mixing(Looking):
    """Draws numbers of NumPy."""

    def forward(self, x):
        return self.layer(self.norm(x)) * float(np.random.rand())


class Skipping(Looking):
    """Draws numbers of Python."""

    def forward(self, x):
        h = self.norm(x)
        return self.layer(h * 2 if random.random() < 0.5 else h)


class Reading(Looking):
    """Looks at gradients of the step before."""

    def forward(self, x):
        h = self.layer(self.norm(x))
        grad = self.layer.W.grad
        return h if grad is None else h * F.sum(grad)


class Choosing(Looking):
    """Has an array whose shape depends on values."""

    def forward(self, x):
        h = self.norm(x)
        return self.layer(h) + F.sum(h.array[h.array > 0])


@pytest.mark.parametrize(
    'model, why',
    [
        (Counting, 'Counting.calls changes in each step'),
        (Remembering, 'LSTM keeps a state from one step to the next'),
        (Unrolling, 'LSTM keeps a state from one step to the next'),
        (Sliding, 'Sliding.mean changes in each step'),
        (SlidingUnregistered, '_ArrayOfStepBefore'),
        (Recurrent, 'it reads Recurrent.last, which the step before has left'),
        (Collecting, 'Collecting.means changes in each step'),
        (SlidingInList, 'SlidingInList.means changes in each step'),
        (SlidingInObject, 'SlidingInObject.state changes in each step'),
        (Mixing, 'random numbers from Python or NumPy'),
        (Skipping, 'random numbers from Python or NumPy'),
        (Reading, 'it reads the gradient of W'),
        (Choosing, 'captur'),
    ],
)
def test_what_depends_on_more_than_the_batch_runs_as_usual_with_one_warning(model, why):
    random.seed(0)
    with one_warning(why):
        graphed = Run(model).steps(7)
    assert not graphed.graphs
    random.seed(0)
    ordinary = Run(model, graph=False).steps(7)
    assert_same(graphed, ordinary)
    assert len(getattr(graphed.model.predictor, 'means', ())) == len(getattr(ordinary.model.predictor, 'means', ()))


def test_hooks_see_each_step_and_graphs_go_on_behind_them():
    class Counter(chainer.FunctionHook):
        calls = 0

        def forward_postprocess(self, function, in_data):
            self.calls += 1

    run, other = Run().steps(5), Run(graph=False).steps(5)
    assert len(run.graphs) == 1
    calls = []
    with one_warning('function hooks'), Counter() as hook:
        for _ in range(2):
            run.steps(1)
            calls.append(hook.calls)
    assert calls[1] == 2 * calls[0] > 0
    assert_same(run.steps(3), other.steps(5))
    assert len(run.graphs) == 1


def test_link_hooks_see_each_step():
    run = Run()
    run.model.predictor[0].add_hook(chainer.link_hooks.TimerHook())
    with one_warning('link hooks'):
        run.steps(5)
    assert not run.graphs
    assert len(run.model.predictor[0].local_link_hooks['TimerHook'].call_history) == 5


def test_an_optimizer_with_a_method_of_its_own_is_used():
    class Mine(chainer.optimizers.SGD):
        def update(self, *args, **kwds):
            super().update(*args, **kwds)
            self.updates = getattr(self, 'updates', 0) + 1

    run = Run()
    run.optimizer.__class__ = Mine
    with one_warning('Mine has an update method of its own'):
        run.steps(5)
    assert run.optimizer.updates == 5


def test_an_updater_of_the_user_runs_as_usual():
    class Alternating(StandardUpdater):
        def update_core(self):
            x, _ = self.converter(self.get_iterator('main').next(), self.device)
            for optimizer in self.get_all_optimizers().values():
                optimizer.update(lambda link=optimizer.target: F.sum(link(x) ** 2))

    weights = []
    for graph in (True, False):
        np.random.seed(0)
        models = {'generator': L.Linear(64, 2), 'critic': L.Linear(64, 3)}
        adams = {name: chainer.optimizers.Adam().setup(model) for name, model in models.items()}
        updater = Alternating(SerialIterator(examples(), BATCH, shuffle=False), adams, device='@cupy:0', graph=graph)
        for _ in range(5):
            updater.update()
        weights.append(models['critic'].W.array.get())
    np.testing.assert_array_equal(*weights)


def test_on_the_cpu_steps_run_as_usual_without_a_word():
    graphed = Run(device='@numpy').steps(6)
    assert not graphed.graphs
    assert_same(graphed, Run(graph=None, device='@numpy').steps(6))


# ---- what changes between steps --------------------------------------------------------------------------------------


def test_gradients_may_be_cleared_between_steps():
    graphed, ordinary = Run(optimizer='MomentumSGD'), Run(optimizer='MomentumSGD', graph=False)
    for run in (graphed, ordinary):
        run.steps(5)
        run.model.cleargrads()
        run.steps(2)
        for param in run.model.params():
            param.grad = param.xp.full_like(param.array, np.nan)
        run.steps(2)
    assert_same(graphed, ordinary)


def change_weights(run):
    weight = run.model.predictor[0].W
    weight.array = weight.array * 2


def change_in_place(run):
    run.model.predictor[0].W.array[...] *= 2


def add_layer(run):
    with run.model.predictor.init_scope():
        layer = L.Linear(4, 4)
    layer.to_device('@cupy:0')
    run.model.predictor.append(layer)
    for param in layer.params():
        param.update_rule = run.optimizer.create_update_rule()


def change_attribute(run):
    run.model.compute_accuracy = False


def away_and_back(run):
    run.model.to_device('@numpy')
    run.model.to_device('@cupy:0')


def load(run):
    run.model.predictor[0].W.array = run.model.predictor[0].W.xp.asarray(np.ones((10, 64), 'f'))


@pytest.mark.parametrize('change', [change_weights, change_in_place, add_layer, change_attribute, away_and_back, load])
def test_a_model_that_changes_is_captured_anew(change):
    graphed, ordinary = Run(optimizer='Adam'), Run(optimizer='Adam', graph=False)
    for run in (graphed, ordinary):
        run.steps(5)
        np.random.seed(1)
        change(run)
        run.steps(4)
    assert len(graphed.graphs) == 1
    assert_same(graphed, ordinary)


class Scaled(chainer.Chain):
    """Takes numbers and an array from containers."""

    def __init__(self):
        super().__init__()
        self.factors, self.offsets, self.settings = {'scale': 1.0}, [[None]], Settings(inner=Settings(power=1))
        with self.init_scope():
            self.layer = L.Linear(64, 4)

    def forward(self, x):
        (offset,) = self.offsets[0]
        h = (self.layer(x) * self.factors['scale']) ** self.settings.inner.power
        return h if offset is None else h + offset


@pytest.mark.parametrize('what', ['factors', 'offsets', 'settings'])
def test_what_changes_in_lists_dictionaries_and_objects_is_captured_anew(what, cupy):
    graphed, ordinary = Run(Scaled), Run(Scaled, graph=False)
    for run in (graphed, ordinary):
        run.steps(5)
        if what == 'factors':
            run.model.predictor.factors['scale'] = 0.5
        elif what == 'settings':
            run.model.predictor.settings.inner.power = 2
        else:
            run.model.predictor.offsets[0][0] = cupy.ones(4, 'f')
        run.steps(4)
    assert len(graphed.graphs) == 1
    assert_same(graphed, ordinary)


TEACHERS = []


def with_distance(run, x, t, teacher):
    with chainer.no_backprop_mode():
        y = teacher(x)
    return run.model(x, t) + F.mean_squared_error(run.model.y, y)


def loss_of_global(run, teacher):
    TEACHERS[:] = [teacher]
    return lambda x, t: with_distance(run, x, t, TEACHERS[0])


def loss_of_closure(run, teacher):
    box = {'teacher': teacher}
    return lambda x, t: with_distance(run, x, t, box['teacher'])


def loss_of_attribute(run, teacher):
    run.model.box = [teacher]  # so that it is not a child
    return lambda x, t: with_distance(run, x, t, run.model.box[0])


@pytest.mark.parametrize('make_loss', [loss_of_global, loss_of_closure, loss_of_attribute])
def test_models_in_containers_and_global_variables_are_watched(make_loss):
    results = []
    for graph in (True, False):
        run = Run(graph=graph)
        teacher = L.Linear(64, 4)
        teacher.to_device('@cupy:0')
        run.updater.loss_func = make_loss(run, teacher)
        run.steps(5)
        teacher.W.array = teacher.W.array * 2
        results.append(run.steps(4))
    assert results[0].graphs
    assert_same(*results)


def test_a_setting_that_changes_has_a_graph_of_its_own():
    def run(graph):
        run = Run(Residual, graph=graph).steps(5)
        with chainer.using_config('train', False):
            run.steps(4)
        return run.steps(2)

    graphed = run(True)
    assert len(graphed.graphs) == 2
    assert_same(graphed, run(False))


def test_a_snapshot_resumes_in_the_middle(cupy, tmp_path):
    file = tmp_path / 'snapshot'

    def go_on(run):
        cupy.random.seed(1)  # in a snapshot of the trainer, but not of the updater
        return run.steps(6)

    expected = go_on(Run(Residual, 'Adam', graph=False).steps(6))
    run = Run(Residual, 'Adam').steps(6)
    chainer.serializers.save_npz(file, run.updater)
    for resumed in (Run(Residual, 'Adam'), run.steps(3)):  # a new run, and one that goes back
        chainer.serializers.load_npz(file, resumed.updater)
        resumed.reported = expected.reported[:6]
        assert_same(go_on(resumed), expected)
        assert resumed.graphs


def test_parameters_without_a_part_in_the_loss_keep_no_gradient_of_before():
    class Idle(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.used, self.idle = L.Linear(64, 4), L.Linear(64, 4)

        def forward(self, x):
            return self.used(x)

    assert_same(Run(Idle, 'MomentumSGD').steps(6), Run(Idle, 'MomentumSGD', graph=False).steps(6))


def test_parameters_without_an_array_are_counted_as_ever():
    class Late(chainer.Chain):
        has_second = False

        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.first, self.second = L.Linear(64, 4), L.Linear(None, 4)

        def forward(self, x):
            return self.first(x) + self.second(x) if self.has_second else self.first(x)

    graphed, ordinary = Run(Late, 'Adam'), Run(Late, 'Adam', graph=False)
    for run in (graphed, ordinary):
        run.steps(7)
        run.model.predictor.second.W.grad = None  # not known before it has a shape
        assert run.model.predictor.second.W.update_rule.t == 7
        run.model.predictor.has_second = True
        run.model.xp.random.seed(1)
        run.steps(5)
    assert len(graphed.graphs) == 1
    assert_same(graphed, ordinary)


def test_gradients_of_parameters_that_are_not_registered_add_up_as_ever():
    class Held(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.layer = L.Linear(64, 4)
            self.offsets = [chainer.Parameter(0.5, (4,))]

        def forward(self, x):
            return self.layer(x) + self.offsets[0]

    gradients = []
    for graph in (True, False):
        run = Run(Held, graph=graph)
        (offset,) = run.model.predictor.offsets
        offset.to_device('@cupy:0')
        offset.cleargrad()
        with one_warning('add up') if graph else contextlib.nullcontext():
            run.steps(6)
        gradients.append(offset.grad.get())
    np.testing.assert_array_equal(*gradients)


def test_without_a_reporter_nothing_is_reported():
    run = Run()
    for _ in range(6):
        run.updater.update()
    assert len(run.graphs) == 1
    run.steps(4)
    assert run.reported[-1]


# ---- the update ------------------------------------------------------------------------------------------------------


def with_hooks(graph, *hooks, optimizer='MomentumSGD'):
    run = Run(optimizer=optimizer, graph=graph)
    for hook in hooks:
        run.optimizer.add_hook(hook)
    return run


def test_known_hooks_are_part_of_the_graph_and_take_new_coefficients():
    def run(graph):
        decay, clipping = chainer.optimizer_hooks.WeightDecay(0.01), chainer.optimizer_hooks.GradientClipping(1.0)
        run = with_hooks(graph, clipping, decay).steps(6)
        decay.rate, clipping.threshold = 0.1, 0.5
        return run.steps(4)

    graphed = run(True)
    (step,) = graphed.graphs
    assert step.update is not None
    assert_same(graphed, run(False))


@pytest.mark.parametrize('change', [{'weight_decay_rate': 0.1}, {'adabound': True}, {'eta': 0.5, 'beta1': 0.5}])
def test_other_hyperparameters_take_effect_also_if_the_rule_is_another_then(change):
    graphed, ordinary = Run(optimizer='Adam'), Run(optimizer='Adam', graph=False)
    for run in (graphed, ordinary):
        run.steps(5)
        for name, value in change.items():
            setattr(run.optimizer.hyperparam, name, value)
        run.steps(5)
    assert graphed.graphs
    assert_same(graphed, ordinary)


@pytest.mark.parametrize('first', [None, 0.1])
def test_a_parameter_may_get_hyperparameters_of_its_own(first):
    graphed, ordinary = Run(optimizer='Adam'), Run(optimizer='Adam', graph=False)
    for run in (graphed, ordinary):
        params = list(run.model.params())
        for param in params[:2] if first else ():
            param.update_rule.hyperparam.alpha = first
        run.steps(5)
        params[0].update_rule.hyperparam.alpha = 0.5
        run.steps(5)
    assert graphed.graphs
    assert_same(graphed, ordinary)


class Halving:
    """Of a kind that only Python knows."""

    name, call_for_each_param = 'Halving', True

    def __init__(self, timing='pre'):
        self.timing, self.calls = timing, 0

    def __call__(self, rule, param):
        self.calls += 1
        param.grad *= 0.5


@pytest.mark.parametrize('timing', ['pre', 'post'])
def test_hooks_of_users_are_called_behind_the_graph(timing):
    hook = Halving(timing)
    graphed = with_hooks(True, hook).steps(7)
    (step,) = graphed.graphs
    assert step.update is None
    assert hook.calls == 7 * 6
    assert_same(graphed, with_hooks(False, Halving(timing)).steps(7))


def test_rules_of_users_are_run_behind_the_graph():
    class Rule(chainer.optimizers.sgd.SGDRule):
        def update_core(self, param):
            param.array -= 0.01 * self.t * param.grad

    def run(graph):
        run = Run(graph=graph)
        for param in run.model.params():
            param.update_rule = Rule(run.optimizer.hyperparam)
        return run.steps(6)

    graphed = run(True)
    assert graphed.graphs
    assert_same(graphed, run(False))


def test_parameters_may_be_disabled_and_enabled():
    graphed, ordinary = Run(optimizer='Adam'), Run(optimizer='Adam', graph=False)
    for run in (graphed, ordinary):
        run.steps(5)
        run.model.predictor[0].disable_update()
        run.steps(4)
        run.model.predictor[0].enable_update()
        run.steps(4)
    assert len(graphed.graphs) == 3  # the counts of updates differ now
    assert_same(graphed, ordinary)


def test_an_updater_with_graphs_may_be_pickled():
    import pickle

    run = Run().steps(5)
    again = pickle.loads(pickle.dumps(run.updater._graphed_steps))
    assert not again._graphs
