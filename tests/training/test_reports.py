"""Extensions that report, log, print, draw and evaluate."""

import io
import json
import types

import numpy
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import iterators, optimizers, training
from chainlite.training import extensions


class Updater(training.Updater):
    """Reports the value 10 times the iteration; two iterations to an epoch."""

    def __init__(self, device):
        self.iteration, self.device = 0, device
        self.optimizer = optimizers.SGD(lr=0.25).setup(L.Linear(2, 2).to_device(device))

    epoch = property(lambda self: self.iteration // 2)
    epoch_detail = property(lambda self: self.iteration / 2)
    previous_epoch_detail = property(lambda self: (self.iteration - 1) / 2)

    def get_optimizer(self, name):
        return self.optimizer

    def get_all_optimizers(self):
        return {'main': self.optimizer}

    def update(self):
        self.iteration += 1
        x, v = map(self.device.send, (numpy.array(self.iteration * 10, 'f'), numpy.array(1, 'f')))
        chainlite.report({'x': x, 'n': 2.0, 'v': chainlite.Variable(v)})


@pytest.fixture
def trainer(tmp_path, device):
    """It trains on a device, where also what it reports is."""
    return training.Trainer(Updater(device), (5, 'iteration'), out=str(tmp_path))


def test_a_log_has_the_means_of_intervals(trainer, tmp_path):
    trainer.extend(extensions.LogReport(['x', 'missing']))
    trainer.run()
    log = json.loads((tmp_path / 'log').read_text())
    assert [entry.pop('elapsed_time') > 0 for entry in log] == [True, True]
    assert log == [{'x': 15.0, 'epoch': 1, 'iteration': 2}, {'x': 35.0, 'epoch': 2, 'iteration': 4}]
    assert [path.name for path in tmp_path.iterdir()] == ['log']


def test_a_log_is_postprocessed_and_named_by_values(trainer, tmp_path):
    trainer.extend(extensions.LogReport(postprocess=lambda stats: stats.update(y=1.0), filename='log_{epoch}'))
    trainer.run()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ['log_1', 'log_2']
    assert json.loads((tmp_path / 'log_2').read_text())[-1]['y'] == 1.0


def test_a_log_without_a_file(trainer, tmp_path):
    report = extensions.LogReport(log_name=None)
    trainer.extend(report)
    trainer.run()
    assert len(report.log) == 2 and not list(tmp_path.iterdir())


def test_a_table_is_printed(trainer):
    out = io.StringIO()
    trainer.extend(extensions.LogReport())
    trainer.extend(lambda trainer: None)
    trainer.extend(extensions.PrintReport(['epoch', 'x', 'a_long_long_name', 'n'], out=out))
    trainer.run()
    assert out.getvalue() == (
        'epoch       x           a_long_long_name  n         \n'
        '\033[J1           15                            2           \n'
        '\033[J2           35                            2           \n'
    )


def test_a_table_of_an_own_log(trainer):
    out = io.StringIO()
    trainer.extend(extensions.PrintReport(['x'], extensions.LogReport(trigger=(3, 'iteration')), out))
    trainer.run()
    assert out.getvalue() == 'x         \n\033[J20          \n'
    with pytest.raises(TypeError, match='log report has a wrong type'):
        extensions.PrintReport(['x'], 3, out)(trainer)


def test_a_progress_bar(trainer, monkeypatch):
    now = iter(range(100, 200))
    clock = types.SimpleNamespace(monotonic=lambda: next(now))  # of the bar alone: threads of others may ask, too
    monkeypatch.setattr('chainlite.training.extensions.util.time', clock)
    out = io.StringIO()
    trainer.extend(extensions.ProgressBar(update_interval=2, bar_length=10, out=out))
    trainer.run()
    assert out.getvalue() == (
        '\033[J     total [####......] 40.00%\n'
        'this epoch [..........]  0.00%\n'
        '         2 iter, 1 epoch / 5 iterations\n'
        '       inf iters/sec. Estimated time to finish: 0:00:00.\n'
        '\033[4A'
        '\033[J     total [########..] 80.00%\n'
        'this epoch [..........]  0.00%\n'
        '         4 iter, 2 epoch / 5 iterations\n'
        '         2 iters/sec. Estimated time to finish: 0:00:00.500000.\n'
        '\033[4A\033[J'
    )


def test_curves_are_drawn(trainer, tmp_path):
    image = pytest.importorskip('PIL.Image')
    seen = []
    trainer.extend(
        extensions.PlotReport(
            ['x', 'n'],
            'epoch',
            postprocess=lambda figure, axes, summary: seen.append(
                [line.get_xydata().tolist() for line in axes.get_lines()]
            ),
        )
    )
    trainer.run()
    assert seen[-1] == [[[1, 15], [2, 35]], [[1, 2], [2, 2]]]
    with image.open(tmp_path / 'plot.png') as picture:
        assert picture.format == 'PNG'


def test_the_points_of_curves_and_the_current_interval_are_saved(trainer, tmp_path):
    pytest.importorskip('matplotlib')
    plot = extensions.PlotReport(['x'])
    trainer.extend(plot)
    trainer.run()
    target = chainlite.serializers.npz.serialize(plot)
    other = extensions.PlotReport(['x'])
    other.serialize(chainlite.serializers.NpzDeserializer(target))
    assert other._data == {'x': [[2, 15.0], [4, 35.0]]}
    assert other._summary.compute_mean() == {'x': 50.0}


def test_values_are_observed(trainer):
    seen = []
    trainer.extend(extensions.observe_lr())
    trainer.extend(extensions.observe_value('k', lambda trainer: trainer.updater.iteration))
    trainer.extend(lambda trainer: seen.append((trainer.observation.get('lr'), trainer.observation.get('k'))))
    trainer.run()
    assert seen == [(None, None), (0.25, 2), (None, None), (0.25, 4), (None, None)]


def test_micro_average_is_the_quotient_of_sums(trainer):
    seen = []
    trainer.extend(extensions.MicroAverage('x', 'v', 'q'))
    trainer.extend(lambda trainer: seen.append(trainer.observation.get('q')))
    trainer.run()
    assert seen == [None, 15.0, None, 35.0, None]


def test_statistics_of_parameters(trainer):
    link = trainer.updater.optimizer.target
    link.W.array[...] = link.xp.array([[1, 2], [3, 6]])
    link.W.grad[...] = numpy.nan
    trainer.extend(extensions.ParameterStatistics(link, prefix='p', skip_nan_params=True))
    trainer.stop_trigger = training.get_trigger((2, 'iteration'))
    trainer.run()
    got = {name: value for name, value in trainer.observation.items() if '/W/' in name}
    assert got.pop('p/None/W/data/mean') == 3
    assert got.pop('p/None/W/data/std') == numpy.std(numpy.array([1, 2, 3, 6], 'f'))
    assert got.pop('p/None/W/data/min') == 1
    assert got.pop('p/None/W/data/max') == 6
    assert got.pop('p/None/W/data/zeros') == 0
    assert got.pop('p/None/W/data/percentile/3') == 2.5
    assert all(numpy.isnan(value) for name, value in got.items() if '/grad/' in name)
    assert len([name for name in got if '/data/percentile/' in name]) == 6
    assert 'p/None/W/grad/percentile' in got


def test_statistics_are_plotted(trainer, tmp_path):
    pytest.importorskip('matplotlib')
    link = trainer.updater.optimizer.target
    link.W.array[...] = link.xp.array([[1, 2], [3, 6]])
    plot = extensions.VariableStatisticsPlot(link.W, report_grad=False, percentile_sigmas=(0, 50, 100))
    trainer.extend(plot)
    trainer.run()
    assert (tmp_path / 'statistics.png').read_bytes()[:4] == b'\x89PNG'
    iterations, values = plot._samples.get_data()
    assert iterations.tolist() == [1, 2, 3, 4, 5]
    numpy.testing.assert_allclose(values[0], [[3, numpy.std([1, 2, 3, 6]), 1, 2.5, 6]], rtol=1e-6)


@pytest.mark.host('samples are kept on the host')
def test_a_reservoir_keeps_a_sample():
    reservoir = extensions.variable_statistics_plot.Reservoir(4, (1,))
    for i in range(20):
        reservoir.add(numpy.array([i]))
    numbers, values = reservoir.get_data()
    assert len(numbers) == 4 and (numpy.diff(numbers) > 0).all()
    numpy.testing.assert_array_equal(values[:, 0], numbers)


class Model(chainlite.Chain):
    def forward(self, x, t=0):
        assert not chainlite.config.train and not chainlite.config.enable_backprop
        chainlite.report({'loss': F.sum(x) + t}, self)


def make_iterator(**kwargs):
    return iterators.SerialIterator(numpy.arange(6, dtype='f'), 2, shuffle=False, **{'repeat': False, **kwargs})


def test_an_evaluation_reports_means(device):
    evaluator = extensions.Evaluator(make_iterator(), Model(), device=device)
    for name, prefix in ((None, ''), ('validation', 'validation/')):
        evaluator.name = name
        with chainlite.Reporter() as reporter:
            assert evaluator() == reporter.observation
        assert reporter.observation == {prefix + 'main/loss': (1 + 5 + 9) / 3}


@pytest.mark.parametrize(
    'form, expected',
    [
        (lambda x: (x, 1), 6.0),
        (lambda x: {'x': x, 't': 2}, 7.0),
    ],
)
def test_a_batch_can_be_a_tuple_or_a_dictionary(form, expected, device):
    def converter(batch, number):
        assert number == (-1 if device.xp is numpy else 0)
        return form(device.send(numpy.array(batch)))

    assert extensions.Evaluator(make_iterator(), Model(), converter, device)() == {'main/loss': expected}


def test_an_evaluator_has_hooks_functions_and_a_bar(capsys, device):
    called = []
    model = Model()
    evaluator = extensions.Evaluator(
        make_iterator(), {}, device=device, eval_hook=called.append, eval_func=model, progress_bar=True
    )
    with chainlite.Reporter() as reporter:
        reporter.add_observer('target', model)
        assert evaluator.evaluate is not None
    evaluator._targets = {'main': model}
    evaluator()
    assert called == [evaluator]
    bars = capsys.readouterr().out.split('\033[J')[1:]
    assert [bar.splitlines()[0].split()[-1] for bar in bars if bar] == ['33.33%', '66.67%', '100.00%']
    assert bars[2].splitlines()[1] == '         6 / 6 iterations'


@pytest.mark.host('nothing is computed')
def test_an_iterator_that_repeats_is_warned_of():
    with pytest.warns(UserWarning, match='`repeat` property'):
        extensions.Evaluator(make_iterator(repeat=True), Model())


def test_the_graph_is_dumped_once(tmp_path, device):
    model = L.Classifier(L.Linear(2, 2))
    data = [(numpy.zeros(2, 'f'), numpy.int32(0))] * 4
    optimizer = optimizers.SGD().setup(model)
    updater = training.StandardUpdater(iterators.SerialIterator(data, 2), optimizer, device=device)
    trainer = training.Trainer(updater, (3, 'iteration'), out=str(tmp_path))
    trainer.extend(extensions.DumpGraph('main/loss'))
    trainer.run()
    assert 'LinearFunction' in (tmp_path / 'cg.dot').read_text()
    assert not chainlite.config.keep_graph_on_report


def test_only_variables_have_graphs(trainer):
    dump = extensions.DumpGraph('x')
    dump.initialize(trainer)
    trainer.observation = {'x': 3.0}
    with pytest.raises(TypeError, match='root value is not a Variable'):
        dump(trainer)
    assert not chainlite.config.keep_graph_on_report


def test_graphs_are_freed(trainer, device):
    x = chainlite.Parameter(device.send(numpy.ones(2, 'f')))
    y = F.sum(x * 2)
    with chainlite.using_config('keep_graph_on_report', True):
        extension = extensions.unchain_variables()
        extension.initialize(trainer)
        assert extension.trigger(trainer)
        trainer.observation = {'y': y}
        extension(trainer)
    y.backward()
    assert x.grad is None or device.xp.isnan(x.grad).all()
