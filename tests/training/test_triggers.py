"""When triggers fire, also after loading."""

import types

import numpy
import pytest

from chainlite import training
from chainlite.serializers import DictionarySerializer, NpzDeserializer
from chainlite.training import triggers

count = pytest.mark.host('what it counts are iterations, on the host')


def make_trainer(iterations_per_epoch):
    updater = types.SimpleNamespace(iteration=0, epoch_detail=0.0, previous_epoch_detail=None, epoch=0)
    trainer = types.SimpleNamespace(updater=updater, observation={}, elapsed_time=0.0)

    def advance():
        updater.iteration += 1
        updater.previous_epoch_detail = updater.epoch_detail
        updater.epoch_detail = updater.iteration / iterations_per_epoch
        updater.epoch = int(updater.epoch_detail)

    trainer.advance = advance
    return trainer


def fires(make, iterations_per_epoch, n=8, reload_at=None, value=None, every=1):
    """The iterations at which a trigger fires; it is saved and loaded into a new one after iteration reload_at."""
    trigger, trainer, fired = make(), make_trainer(iterations_per_epoch), []
    for i in range(1, n + 1):
        trainer.advance()
        if value is not None:
            trainer.observation = {'value': value[i - 1]}  # of the host or of a device
        if i % every == 0 and trigger(trainer):
            fired.append(i)
        if i == reload_at:
            serializer = DictionarySerializer()
            trigger.serialize(serializer)
            trigger = make()
            trigger.serialize(NpzDeserializer(serializer.target))
    return fired


@count
@pytest.mark.parametrize('reload_at', [None, 1, 3, 4, 5])
@pytest.mark.parametrize(
    'make, iterations_per_epoch, expected',
    [
        (lambda: triggers.IntervalTrigger(2, 'iteration'), 5, [2, 4, 6, 8]),
        (lambda: triggers.IntervalTrigger(3, 'epoch'), 1, [3, 6]),
        (lambda: triggers.IntervalTrigger(1.5, 'epoch'), 2, [3, 6]),
        (lambda: triggers.IntervalTrigger(1, 'epoch'), 2.5, [3, 5, 8]),
        (lambda: triggers.IntervalTrigger(1, 'epoch'), 0.5, [1, 2, 3, 4, 5, 6, 7, 8]),
        (lambda: triggers.ManualScheduleTrigger([2, 5], 'iteration'), 3, [2, 5]),
        (lambda: triggers.ManualScheduleTrigger([1, 2], 'epoch'), 2.5, [3, 5]),
        (lambda: triggers.ManualScheduleTrigger(1.5, 'epoch'), 2, [3]),
        (lambda: triggers.OnceTrigger(), 1, [1]),
    ],
)
def test_schedules(make, iterations_per_epoch, expected, reload_at):
    assert fires(make, iterations_per_epoch, reload_at=reload_at) == expected


@count
def test_what_passed_between_calls_counts():
    assert fires(lambda: triggers.IntervalTrigger(2, 'iteration'), 5, every=3) == [3, 6]
    assert fires(lambda: triggers.ManualScheduleTrigger([1, 2, 5], 'iteration'), 5, every=4) == [4, 8]


@count
def test_once_can_fire_again_after_loading():
    assert fires(lambda: triggers.OnceTrigger(call_on_resume=True), 1, reload_at=4) == [1, 5]


VALUES = [0.5, 0.5, 0.4, 0.6, 0.6, 0.2, 0.3, 0.7]


@pytest.mark.parametrize('reload_at', [None, 1, 3, 4, 6])
@pytest.mark.parametrize(
    'cls, interval, expected',
    [
        (triggers.MaxValueTrigger, 1, [1, 4, 8]),
        (triggers.MinValueTrigger, 1, [1, 3, 6]),
        (triggers.MaxValueTrigger, 2, [2]),  # means .5 .5 .4 .5
        (triggers.MinValueTrigger, 2, [2, 6]),
    ],
)
def test_best_values(cls, interval, expected, reload_at, device):
    def make():
        return cls('value', (interval, 'iteration'))

    assert fires(make, 1, reload_at=reload_at, value=device.send(numpy.array(VALUES))) == expected


@pytest.mark.parametrize('reload_at', [None, 2, 4, 5])
@pytest.mark.parametrize(
    'monitor_mode, values, expected',
    [
        ('min', [100, 80, 30, 10, 20, 24, 30, 35], [7, 8]),
        ('max', [0.5, 0.5, 0.6, 0.7, 0.6, 0.4, 0.3, 0.2], [7, 8]),
    ],
)
def test_early_stopping(monitor_mode, values, expected, reload_at, device):
    def make():
        return triggers.EarlyStoppingTrigger(monitor='value', mode=monitor_mode, patience=3)

    assert fires(make, 1, reload_at=reload_at, value=device.send(numpy.array(values))) == expected


def test_early_stopping_has_an_end(capsys, device):
    trigger = triggers.EarlyStoppingTrigger(monitor='value', max_trigger=(3, 'iteration'), verbose=True)
    assert capsys.readouterr().out == 'early stopping: operator is less\n'
    assert trigger.get_training_length() == (3, 'iteration')
    assert fires(lambda: trigger, 1, n=4, value=device.send(numpy.array([4, 3, 2, 1]))) == [3]


@count
def test_early_stopping_by_accuracy_wants_more():
    assert triggers.EarlyStoppingTrigger(monitor='validation/main/accuracy').best == -numpy.inf
    assert triggers.EarlyStoppingTrigger(monitor='main/loss').best == numpy.inf


@count
def test_early_stopping_takes_the_older_spelling():
    assert triggers.EarlyStoppingTrigger(patients=10).patience == 10
    with pytest.raises(TypeError, match="Specify only 'patience'"):
        triggers.EarlyStoppingTrigger(patience=10, patients=3)


@count
def test_early_stopping_warns_of_a_missing_value():
    with pytest.warns(UserWarning, match='value is not in observation'):
        assert fires(lambda: triggers.EarlyStoppingTrigger(monitor='value'), 1, n=1) == []


@count
def test_time():
    trigger, trainer = triggers.TimeTrigger(1), make_trainer(1)
    fired = []
    for trainer.elapsed_time in (0, 0.9, 1.2, 1.3, 2.1, 5.5, 5.9, 6.0):
        fired.append(trigger(trainer))
    assert fired == [False, False, True, False, True, True, False, True]


@count
@pytest.mark.parametrize(
    'make',
    [
        lambda: triggers.IntervalTrigger(2, 'iteration'),
        lambda: triggers.ManualScheduleTrigger([2, 5], 'iteration'),
        lambda: triggers.IntervalTrigger(1, 'epoch'),
    ],
)
def test_files_of_old_versions_lack_the_last_call(make):
    expected = fires(make, 2.5)
    trigger, trainer, fired = make(), make_trainer(2.5), []
    for i in range(1, 9):
        trainer.advance()
        if trigger(trainer):
            fired.append(i)
        if i == 3:
            trigger = make()
            with pytest.warns(UserWarning, match='is not saved'):
                trigger.serialize(NpzDeserializer({}))
    assert fired == expected


@count
def test_units_and_forms():
    for cls in (triggers.IntervalTrigger, triggers.ManualScheduleTrigger):
        with pytest.raises(ValueError, match="Trigger unit must be either 'epoch' or 'iteration'."):
            cls(1, 'day')
    assert str(triggers.IntervalTrigger(2, 'epoch')) == "IntervalTrigger(2, 'epoch')"
    assert training.get_trigger(None)(None) is False
    assert training.get_trigger(print) is print
