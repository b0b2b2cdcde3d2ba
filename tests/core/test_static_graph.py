"""static_graph: on NumPy chains run as usual, on a GPU they are captured; results are the same."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite.graph_optimizations.static_graph import StaticScheduleFunction, static_graph


class Net(chainer.Chain):
    """The same forward pass with and without the decorator."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.first, self.norm, self.last = L.Linear(3, 5), L.BatchNormalization(5), L.Linear(5, 2)

    def forward(self, x):
        return self.last(F.dropout(F.relu(self.norm(self.first(x))), 0.4))

    @static_graph
    def static(self, x):
        return self.forward(x)


class Two(Net):
    """Several inputs and outputs, in a list; arguments in parentheses."""

    def forward(self, xs):
        x, y = xs
        h = F.tanh(self.first(x) * y)
        return [self.last(h), F.sum(h)]

    @static_graph(minimize_cache_size=False, verbosity_level=1)
    def static(self, xs):
        return self.forward(xs)


@pytest.fixture
def place(xp):
    device = chainer.get_device('@cupy:0' if xp.__name__ == 'cupy' else '@numpy')
    device.use()
    yield device
    chainer.get_device('@numpy').use()


def make(place, cls=Net):
    np.random.seed(0)
    net = cls()
    net.to_device(place)
    return net


def seed(place):
    np.random.seed(1)
    if place.xp is not np:
        place.xp.random.seed(1)


def data(place, n=4, seed=0):
    return place.send(np.random.RandomState(seed).uniform(-1, 1, (n, 3)).astype('f'))


def train(place, static, steps=8, sizes=(4,), cls=Net):
    """Losses, parameters and averages of some steps, written as Chainer's users do."""
    net = make(place, cls)
    optimizer = chainer.optimizers.MomentumSGD(0.1).setup(net)
    seed(place)
    seen = []
    for i in range(steps):
        x = chainer.Variable(data(place, sizes[i % len(sizes)], i))
        y = net.static(x) if static else net.forward(x)
        loss = F.mean(y * y) + F.sum(x) * 0.1
        net.cleargrads()
        loss.backward()
        optimizer.update()
        seen += [loss.array.copy(), x.grad.copy()]
    return net, [*map(chainer.cuda.to_cpu, seen), *[chainer.cuda.to_cpu(p.array) for p in net.params()]]


def assert_same(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others):
        np.testing.assert_array_equal(chainer.cuda.to_cpu(one), chainer.cuda.to_cpu(other))


def schedules(net):
    return [schedule for group in net.schedule_manager._schedules.values() for schedule in group]


def test_training_is_the_same_bit_by_bit(place):
    net, static = train(place, True)
    assert_same(static, train(place, False)[1])
    # With the loss of the step before still there, a second schedule takes turns with the first.
    assert len(schedules(net)) == (0 if place.xp is np else 2)


def test_shapes_take_turns(place):
    net, static = train(place, True, 12, (4, 2))
    assert_same(static, train(place, False, 12, (4, 2))[1])


def test_structures_of_inputs_and_outputs(place, capsys):
    net = make(place, Two)
    for i in range(4):
        x, y = chainer.Variable(data(place, seed=i)), place.xp.full((4, 5), 0.5, 'f')
        results = []
        for run in (net.static, net.forward):
            net.cleargrads()
            x.cleargrad()
            h, total = run([x, y])
            (F.sum(h) + total).backward()
            results.append([a.copy() for a in (h.array, total.array, x.grad, net.first.W.grad)])
        assert_same(*results)
    assert ('Two was captured' in capsys.readouterr().out) == (place.xp is not np)


def test_outputs_that_nobody_uses(place):
    net = make(place, Two)
    for i in range(12):
        results = []
        for run in (net.static, net.forward):
            x = chainer.Variable(data(place, seed=i))
            net.cleargrads()
            y, total = run([x, place.xp.ones((4, 5), 'f')])
            (total if i % 2 else F.sum(y * y)).backward()
            results.append([a if a is None else a.copy() for a in (x.grad, net.first.W.grad, net.last.W.grad)])
        for one, other in zip(*results):
            assert (one is None or not one.any()) if other is None else (one == other).all()


def test_testing_mode_has_a_graph_of_its_own(place):
    net = make(place)
    x = data(place)
    for _ in range(4):
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            assert_same([net.static(x).array], [net.forward(x).array])
    average = net.norm.avg_mean.copy()
    for _ in range(3):
        net.static(x)
    assert (net.norm.avg_mean != average).any()


def test_without_use_static_graph_nothing_is_kept(place):
    net = make(place)
    with chainer.using_config('use_static_graph', False):
        net.static(data(place))
    assert not hasattr(net, 'schedule_manager')
    net.static(data(place))
    assert hasattr(net, 'schedule_manager') and hasattr(net, 'static_schedule')


def test_forced_to_run_as_usual_in_testing_mode(place):
    class Counting(Net):
        calls = []

        @static_graph(force_test_define_by_run=True)
        def static(self, x):
            self.calls.append(1)
            return self.forward(x)

    net = make(place, Counting)
    with chainer.using_config('train', False):
        for _ in range(6):
            net.static(data(place))
    assert len(net.calls) == 6


def test_calls_in_one_iteration_do_not_share_what_they_computed(place):
    def run(static):
        net = make(place)
        seed(place)
        results = []
        for i in range(5):
            xs = [chainer.Variable(data(place, seed=10 * i + k)) for k in range(3)]
            ys = [net.static(x) if static else net.forward(x) for x in xs]
            net.cleargrads()
            sum([F.sum(y * y) for y in ys]).backward()
            results += [*[y.array.copy() for y in ys], *[x.grad.copy() for x in xs], net.first.W.grad.copy()]
        return results

    assert_same(run(True), run(False))


def test_gradients_add_up_over_passes(place):
    def run(static):
        net = make(place)
        seed(place)
        net.cleargrads()
        kept = []
        for i in range(8):
            y = net.static(data(place, seed=i)) if static else net.forward(chainer.Variable(data(place, seed=i)))
            F.sum(y * y).backward()
            kept.append(net.last.b.grad)
        return [*[p.grad for p in net.params()], *[g + 0 for g in kept[-1:]]]

    assert_same(run(True), run(False))


def test_outputs_and_gradients_that_are_kept_stay_as_they_are(place):
    net = make(place)
    kept = []
    for i in range(6):
        y = net.static(data(place, seed=i))
        net.cleargrads()
        F.sum(y).backward()
        for array in (y.array, y.array[1:], net.first.W.grad):
            kept.append((array, array.copy()))
    for array, copied in kept:
        assert_same([array], [copied])


def test_new_values_of_parameters_count(place):
    net = make(place)
    x = data(place)
    with chainer.using_config('train', False):
        for _ in range(5):
            net.first.W.array[...] *= 1.5
            assert_same([net.static(x).array], [net.forward(x).array])
        for _ in range(5):
            net.first.W.array = net.first.W.array * 1.5
            assert_same([net.static(x).array], [net.forward(x).array])


def test_gradients_may_be_differentiated(place):
    net = make(place, Two)
    with chainer.using_config('train', False):
        for i in range(4):
            results = []
            for run in (net.static, net.forward):
                x = chainer.Variable(data(place, seed=i))
                net.cleargrads()
                y, _ = run([x, place.xp.ones((4, 5), 'f')])
                (gx,) = chainer.grad([F.sum(y * y)], [x], enable_double_backprop=True)
                F.sum(gx * gx).backward()
                results.append([gx.array, x.grad, net.first.W.grad, net.last.W.grad])
            for one, other in zip(*results):
                np.testing.assert_allclose(chainer.cuda.to_cpu(one), chainer.cuda.to_cpu(other), rtol=1e-5)


def test_what_is_marked_as_static_code_runs_in_every_call(place):
    class Noting(Net):
        def __init__(self):
            super().__init__()
            self.notes = []

        @chainer.static_code
        def note(self, h):
            self.notes.append(float(F.sum(h).array))

        @static_graph
        def static(self, x):
            h = self.first(x)
            self.note(h)
            return h

    net = make(place, Noting)
    for _ in range(6):
        net.static(data(place))
    assert len(net.notes) == 6


@pytest.mark.host('nothing is computed')
def test_static_code_takes_parentheses():
    assert chainer.static_code(func_name='f')(lambda: 3)() == 3
    assert chainer.static_code()(lambda: 4)() == 4


@pytest.mark.parametrize('again', [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), lambda net: net.copy()])
def test_copies_of_a_chain_have_schedules_of_their_own(place, again):
    net = make(place)
    x = data(place)
    with chainer.using_config('train', False):
        for _ in range(4):
            net.static(x)
        other = again(net)
        other.first.W.array = other.first.W.array * 2
        for _ in range(4):
            assert_same([other.static(x).array], [other.forward(x).array])
            assert_same([net.static(x).array], [net.forward(x).array])
    assert other.schedule_manager is not net.schedule_manager


# ---- on a GPU --------------------------------------------------------------------------------------------------------


@pytest.fixture
def gpu():
    pytest.importorskip('cupy')
    device = chainer.get_device('@cupy:0')
    device.use()
    yield device
    chainer.get_device('@numpy').use()


@pytest.mark.gpu
def test_a_chain_becomes_one_function_that_python_no_longer_runs(gpu):
    class Counting(Net):
        calls = []

        @static_graph
        def static(self, x):
            self.calls.append(1)
            return self.forward(x)

    net = make(gpu, Counting)
    for i in range(8):
        y = net.static(data(gpu, seed=i))
        net.cleargrads()
        F.sum(y).backward()
        del y
    assert isinstance(net.static(data(gpu)).creator, StaticScheduleFunction)
    assert len(net.calls) == 3
    assert len(schedules(net)) == 1


@pytest.mark.gpu
@pytest.mark.parametrize('read', [lambda h: float(F.sum(h).array), lambda h: h.array.get()])
def test_reading_a_value_is_warned_of_once(gpu, read):
    class Reading(Net):
        @static_graph
        def static(self, x):
            h = self.first(x)
            read(h)
            return h

    net = make(gpu, Reading)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for i in range(6):
            x = data(gpu, seed=i)
            assert_same([net.static(x).array], [net.first(x).array])
    assert len(caught) == 1 and 'D2H' in str(caught[0].message)


@pytest.mark.gpu
def test_chains_that_set_attributes_run_as_usual(gpu):
    class Setting(Net):
        @static_graph
        def static(self, x):
            self.hidden = self.first(x)
            return self.last(self.hidden)

    net = make(gpu, Setting)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for i in range(6):
            x = data(gpu, seed=i)
            net.static(x)
            assert_same([net.hidden.array], [net.first(x).array])
    assert len(caught) == 1 and "'hidden'" in str(caught[0].message)


@pytest.mark.gpu
def test_links_with_a_state_run_as_usual(gpu):
    class Recurrent(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.lstm = L.LSTM(3, 2)

        @static_graph
        def static(self, x):
            return self.lstm(x)

    net = make(gpu, Recurrent)
    ys = [net.static(data(gpu)).array for _ in range(5)]
    net.lstm.reset_state()
    assert_same(ys, [net.lstm(data(gpu)).array for _ in range(5)])


@pytest.mark.gpu
def test_static_chains_within_captured_steps(gpu):
    from chainlite.datasets import TupleDataset
    from chainlite.iterators import SerialIterator
    from chainlite.training.updaters import StandardUpdater

    class Static(Net):
        def __call__(self, x):
            return self.static(x)

    def run(graph, cls):
        model = L.Classifier(make(gpu, cls))
        optimizer = chainer.optimizers.Adam().setup(model)
        random = np.random.RandomState(0)
        dataset = TupleDataset(random.rand(12, 3).astype('f'), random.randint(0, 2, 12).astype('i'))
        updater = StandardUpdater(SerialIterator(dataset, 4, shuffle=False), optimizer, device='@cupy:0', graph=graph)
        seed(gpu)
        for _ in range(7):
            updater.update()
        assert not graph or updater._graphed_steps._graphs
        return [p.array for p in model.params()]

    expected = run(False, Net)
    for graph in (False, True):
        assert_same(run(graph, Static), expected)
