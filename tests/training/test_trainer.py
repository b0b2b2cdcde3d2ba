"""The training loop."""

import numpy
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import datasets, iterators, optimizers, training
from chainlite.backends import cuda
from chainlite.testing import assert_allclose
from chainlite.training import extensions

loop = pytest.mark.host('the loop itself has no arrays')


class CountingUpdater(training.Updater):
    """Counts iterations, four to an epoch."""

    def __init__(self):
        self.iteration = 0
        self.finalized = 0

    @property
    def epoch(self):
        return self.iteration // 4

    @property
    def epoch_detail(self):
        return self.iteration / 4

    def get_all_optimizers(self):
        return {}

    def update(self):
        self.iteration += 1

    def finalize(self):
        self.finalized += 1


@pytest.fixture
def make_trainer(tmp_path):
    def make(n=3, **kwargs):
        return training.Trainer(CountingUpdater(), (n, 'iteration'), out=str(tmp_path / 'out'), **kwargs)

    return make


@loop
def test_extensions_are_called_by_priority_then_in_the_order_of_registration(make_trainer):
    called = []
    trainer = make_trainer(1)
    for name, priority in (('a', None), ('b', training.PRIORITY_WRITER), ('c', training.PRIORITY_EDITOR), ('d', 100)):
        trainer.extend(lambda trainer, name=name: called.append(name), name=name, priority=priority)
    trainer.run()
    assert called == ['b', 'c', 'a', 'd']


@loop
def test_names_that_are_taken_get_numbers(make_trainer):
    trainer = make_trainer()
    functions = [lambda trainer: None for _ in range(3)]
    for function in functions:
        trainer.extend(function, name='f')
    assert [trainer.get_extension(name) for name in ('f', 'f_1', 'f_2')] == functions
    assert [function.name for function in functions] == ['f', 'f_1', 'f_2']


@loop
def test_extensions_can_be_bound_methods(make_trainer):
    called = []
    trainer = make_trainer(2)
    trainer.extend(called.append)
    trainer.run()
    assert called == [trainer, trainer]


@loop
@pytest.mark.parametrize(
    'call, error, message',
    [
        (lambda t: t.extend(lambda t: None, name='training'), ValueError, 'the name "training" is prohibited'),
        (lambda t: t.extend(None), TypeError, 'name is not given for the extension'),
        (
            lambda t: t.extend(lambda t: None, invoke_before_training=True),
            ValueError,
            'has been removed since Chainer v2',
        ),
        (lambda t: t.extend(lambda t: None, other=True), TypeError, "got unexpected keyword argument.* 'other'"),
        (lambda t: t.get_extension('x'), ValueError, 'extension x not found'),
        (lambda t: t.elapsed_time, RuntimeError, 'training has not been started yet'),
        (lambda t: t.extend(lambda t: None, trigger=3), TypeError, 'a trigger is a function'),
    ],
)
def test_misuse_is_an_error(make_trainer, call, error, message):
    with pytest.raises(error, match=message):
        call(make_trainer())


@loop
def test_a_trainer_runs_once(make_trainer):
    trainer = make_trainer()
    trainer.run()
    elapsed = trainer.elapsed_time
    assert elapsed == trainer.elapsed_time > 0
    with pytest.raises(RuntimeError, match='cannot run training loop multiple times'):
        trainer.run()


@loop
def test_an_exception_is_shown_handled_and_raised(make_trainer, capsys):
    seen = []

    class Handler(training.Extension):
        def __call__(self, trainer):
            pass

        def on_error(self, trainer, exc, tb):
            seen.append(str(exc))
            raise ValueError('in the handler')

        def finalize(self):
            seen.append('finalized')

    @training.make_extension(trigger=(2, 'iteration'), on_error=lambda trainer, exc, tb: seen.append('second'))
    def fail(trainer):
        raise RuntimeError('boom')

    trainer = make_trainer()
    trainer.extend(Handler())
    trainer.extend(fail)
    with pytest.raises(RuntimeError, match='boom'):
        trainer.run()
    assert seen == ['boom', 'second', 'finalized']
    assert trainer.updater.finalized == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ['Exception in main training loop: boom', 'Traceback (most recent call last):']
    assert 'Will finalize trainer extensions and updater before reraising the exception.' in lines
    assert 'Exception in error handler: in the handler' in lines


@loop
def test_the_message_can_be_left_out(make_trainer, capsys):
    def fail(trainer):
        raise RuntimeError('boom')

    trainer = make_trainer()
    trainer.extend(fail)
    with pytest.raises(RuntimeError):
        trainer.run(show_loop_exception_msg=False)
    assert capsys.readouterr().err == ''


@loop
def test_an_interrupt_finalizes(make_trainer):
    def interrupt(trainer):
        raise KeyboardInterrupt

    trainer = make_trainer()
    trainer.extend(interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert trainer.updater.finalized == 1


@loop
def test_make_extension_sets_the_attributes_of_an_extension():
    @training.make_extension(trigger=(2, 'epoch'), default_name='other', priority=0, initializer=print)
    def extension(trainer):
        pass

    assert (extension.trigger, extension.default_name, extension.priority, extension.initialize) == (
        (2, 'epoch'),
        'other',
        0,
        print,
    )
    with pytest.raises(ValueError, match='has been removed since Chainer v2'):
        training.make_extension(invoke_before_training=True)
    with pytest.raises(TypeError):
        training.make_extension(other=True)


@loop
def test_an_extension_knows_what_was_removed():
    extension = training.Extension()
    with pytest.raises(AttributeError, match='has been removed since Chainer v2'):
        extension.invoke_before_training
    with pytest.raises(AttributeError, match='Extension object has no attribute other'):
        extension.other
    with pytest.raises(NotImplementedError):
        extension(None)


class Regression(chainlite.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l = L.Linear(3, 1, initialW=numpy.array([[1, 2, 3]], 'f'))

    def forward(self, x, t):
        loss = F.mean_squared_error(self.l(x), t)
        chainlite.report({'loss': loss}, self)
        return loss


def make_updater(device='@numpy', **kwargs):
    r = numpy.random.RandomState(0)
    data = datasets.TupleDataset(r.rand(10, 3).astype('f'), r.rand(10, 1).astype('f'))
    iterator = iterators.SerialIterator(data, 2, shuffle=False)
    optimizer = optimizers.SGD(lr=0.1).setup(Regression())
    return training.StandardUpdater(iterator, optimizer, device=device, **kwargs), data, optimizer


def test_an_update_is_a_step_of_gradient_descent(device):
    updater, data, optimizer = make_updater(device)
    x, t = (numpy.stack(part).astype('d') for part in zip(*data[:2]))
    w = numpy.array([[1.0, 2.0, 3.0]])
    error = x @ w.T - t
    expected = w - 0.1 * error.T @ x
    updater.update()
    assert optimizer.target.device == device and isinstance(optimizer.target.l.W.array, device.xp.ndarray)
    assert_allclose(optimizer.target.l.W.array, expected, rtol=1e-5)
    assert (updater.iteration, updater.epoch_detail, updater.previous_epoch_detail) == (1, 0.2, 0)


def test_the_optimizer_is_told_of_a_new_epoch(device):
    updater, _, optimizer = make_updater(device)
    for _ in range(5):
        updater.update()
    assert updater.is_new_epoch and optimizer.epoch == 1
    updater, _, optimizer = make_updater(device, auto_new_epoch=False)
    for _ in range(5):
        updater.update()
    assert optimizer.epoch == 0


def test_devices_are_resolved(device):
    number = -1 if device.xp is numpy else 0
    for name in (number, device, device.name):
        updater, _, _ = make_updater(name)
        assert updater.device == updater.input_device == device
    updater, _, optimizer = make_updater(None, input_device=device.name)
    assert updater.device is None and updater.input_device == device
    assert optimizer.target.device == chainlite.get_device('@numpy')  # the model stays where it is
    with pytest.raises(TypeError, match="'other'"):
        make_updater(device, other=1)


def test_a_loss_scale_goes_to_the_optimizer(device):
    weights = []
    for scale in None, 8:
        updater, _, optimizer = make_updater(device, loss_scale=scale)
        assert optimizer._loss_scale == scale
        updater.update()
        weights.append(cuda.to_cpu(optimizer.target.l.W.array))
    assert_allclose(*weights, rtol=1e-6)


def test_a_parallel_updater_does_what_one_device_does(device):
    updater, data, single = make_updater(device, loss_func=None)
    parallel_optimizer = optimizers.SGD(lr=0.1).setup(Regression())
    iterator = iterators.SerialIterator(data, 2, shuffle=False)
    # Two copies with one example each have a mean over one: twice the gradient.
    parallel_optimizer.lr = 0.05
    parallel = training.ParallelUpdater(iterator, parallel_optimizer, devices={'main': device, 'second': device})
    reporter = chainlite.Reporter()
    reporter.add_observer('main', parallel_optimizer.target)
    parallel.connect_trainer(type('T', (), {'reporter': reporter}))
    for _ in range(7):
        updater.update()
        with reporter:
            parallel.update()
    assert set(reporter.observation) == {'main/loss', 'second/loss'}
    main, second = parallel_optimizer.target.l.W.array, parallel._models['second'].l.W.array
    assert isinstance(second, device.xp.ndarray)
    assert_allclose(main, single.target.l.W.array, rtol=1e-5)
    assert_allclose(second, main, rtol=0, atol=0)


@pytest.mark.host('nothing is computed')
def test_a_parallel_updater_needs_a_main_model():
    updater, data, optimizer = make_updater()
    iterator = iterators.SerialIterator(data, 2)
    with pytest.raises(ValueError, match='either models or devices must be specified'):
        training.ParallelUpdater(iterator, optimizer)
    with pytest.raises(KeyError, match="'devices' must contain a 'main' key"):
        training.ParallelUpdater(iterator, optimizer, devices={'a': -1})


def test_training_fails_on_nan(tmp_path, device):
    updater, _, optimizer = make_updater(device)
    optimizer.target.l.W.array[0, 1] = numpy.nan
    trainer = training.Trainer(updater, (2, 'iteration'), out=str(tmp_path))
    trainer.extend(extensions.FailOnNonNumber())
    with pytest.raises(RuntimeError, match="parameters in optimizer 'main' diverge"):
        trainer.run(show_loop_exception_msg=False)
