"""A training that was interrupted ends with the same weights, bit for bit, as one that was not."""

import functools
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import iterators, optimizers, serializers, training
from chainlite.testing import assert_allclose
from chainlite.training import extensions

SCRIPT = Path(__file__).with_name('resumable.py')
ROOT = Path(__file__).parents[2]


def run(out, kind, device='@numpy', how='run', when=0):
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OPENBLAS_NUM_THREADS': '1'}
    return subprocess.run(
        [sys.executable, '-W', 'error', SCRIPT, out, kind, device, how, str(when)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    'kind, device',
    [
        *((kind, '@numpy') for kind in ('serial', 'own generator', 'thread', 'process')),
        pytest.param('serial', '@cupy:0', marks=pytest.mark.gpu),
    ],
)
def test_a_killed_training_ends_with_the_same_bits(tmp_path, kind, device):
    whole = run(tmp_path / 'whole', kind, device)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.split()[1] in (['48'] if device == '@numpy' else ['42', '48'])  # dropout's masks are others
    moments = ('kill', 4), ('kill', 11), ('interrupt', 25), ('kill', 34)
    for how, when in moments if device == '@numpy' else moments[-1:]:
        broken = run(tmp_path / 'broken', kind, device, how, when)
        assert broken.returncode == (-9 if how == 'kill' else 0), broken.stderr
    resumed = run(tmp_path / 'broken', kind, device)
    assert f'Snapshot loaded from {tmp_path}/broken/snapshot_iter_33' in resumed.stdout, resumed.stderr
    assert resumed.stdout.splitlines()[-1] == whole.stdout.splitlines()[-1]
    assert len(list((tmp_path / 'broken').glob('snapshot_iter_*'))) == 2


@pytest.fixture
def make_trainer(device):
    """Makes trainers whose model is on the device."""
    return functools.partial(trainer_on, device)


def trainer_on(device, out, n=6, snapshot=None, **kwargs):
    model = L.Linear(2, 2)
    optimizer = optimizers.SGD().setup(model)
    iterator = iterators.SerialIterator(numpy.zeros((10, 2), 'f'), 3)
    updater = training.StandardUpdater(iterator, optimizer, loss_func=lambda x: F.sum(model(x) ** 2), device=device)
    trainer = training.Trainer(updater, (n, 'iteration'), out=str(out), **kwargs)
    trainer.extend(snapshot or extensions.snapshot(autoload=True), trigger=(1, 'iteration'))
    return trainer


def test_the_newest_complete_snapshot_is_loaded(tmp_path, make_trainer):
    make_trainer(tmp_path).run()
    content = (tmp_path / 'snapshot_iter_6').read_bytes()
    (tmp_path / 'snapshot_iter_7').write_bytes(content[: len(content) // 2])
    (tmp_path / 'snapshot_iter_8').write_bytes(b'')
    (tmp_path / '.snapshot_iter_9.123-abc.tmp').write_bytes(content)  # a killed process left it
    damaged = bytearray(content)
    damaged[len(content) // 3] ^= 255
    (tmp_path / 'snapshot_iter_10').write_bytes(damaged)
    for i, name in enumerate(['snapshot_iter_6', 'snapshot_iter_7', 'snapshot_iter_8', 'snapshot_iter_10']):
        os.utime(tmp_path / name, (2_000_000_000 + i, 2_000_000_000 + i))
    trainer = make_trainer(tmp_path, 9)
    with pytest.warns(UserWarning) as warned:
        trainer.run()
    assert [w.message.args[0].split(' is broken')[0] for w in warned] == [
        f'The snapshot {tmp_path}/snapshot_iter_{i}' for i in (10, 8, 7)
    ]
    assert trainer.updater.iteration == 9


def test_snapshots_of_one_moment_sort_by_number(tmp_path, make_trainer):
    make_trainer(tmp_path, 11).run()
    for path in tmp_path.glob('snapshot_iter_*'):
        os.utime(path, (2_000_000_000, 2_000_000_000))
    trainer = make_trainer(tmp_path, 11)
    trainer.run()
    assert trainer.updater.iteration == 11
    from chainlite.training.extensions._snapshot import _find_latest_snapshot

    assert _find_latest_snapshot('snapshot_iter_{.updater.iteration}', tmp_path) == 'snapshot_iter_11'


@pytest.mark.host('names of files')
def test_names_of_one_moment_sort_by_number_and_those_that_vanish_do_not_count(tmp_path, monkeypatch):
    from chainlite.training.extensions import _snapshot

    names = [f's_{x}' for x in (0.25, 0.5, 1.0, 9, 10)]
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    assert [name for _, name in _snapshot._find_snapshot_files('s_{}', tmp_path)] == names
    listed = [*names, 's_11']  # which is gone when it is looked at
    monkeypatch.setattr(os, 'listdir', lambda path: listed)
    assert _snapshot._find_latest_snapshot('s_{}', tmp_path) == 's_10'
    monkeypatch.setattr(_snapshot, '_find_stale_snapshots', lambda *_: ['s_0', 's_9'])
    _snapshot._Cleanup('s_{}', tmp_path, 1)()
    assert not (tmp_path / 's_9').exists()


def test_without_a_snapshot_training_starts_from_the_beginning(tmp_path, make_trainer):
    trainer = make_trainer(tmp_path / 'new')
    trainer.run()
    assert trainer.updater.iteration == 6


def test_a_snapshot_of_another_training_is_an_error(tmp_path, make_trainer):
    make_trainer(tmp_path).run()
    trainer = make_trainer(tmp_path, 9)
    trainer.extend(extensions.LogReport())
    before = trainer.updater.get_optimizer('main').target.W.array.copy()
    with pytest.warns(UserWarning), pytest.raises(KeyError, match='extensions/LogReport/_log'):
        trainer.run()
    assert_allclose(trainer.updater.get_optimizer('main').target.W.array, before, rtol=0, atol=0)


def test_the_snapshot_comes_after_all_other_extensions(tmp_path, make_trainer):
    order = []
    trainer = training.Trainer(make_trainer(tmp_path).updater, (1, 'iteration'), out=str(tmp_path))
    trainer.extend(extensions.snapshot(writer=lambda *args: order.append('trainer')), trigger=(1, 'iteration'))
    model = L.Linear(1, 1)
    trainer.extend(
        extensions.snapshot_object(model, 'm', writer=lambda *args: order.append('model')), trigger=(1, 'iteration')
    )
    for priority in (500, -(10**9)):
        trainer.extend(lambda trainer, p=priority: order.append(p), trigger=(1, 'iteration'), priority=priority)
    trainer.run()
    assert order == [500, 'model', -(10**9), 'trainer']


def test_a_snapshot_with_a_priority_comes_at_its_place(tmp_path, make_trainer):
    order = []
    trainer = training.Trainer(make_trainer(tmp_path).updater, (1, 'iteration'), out=str(tmp_path))
    trainer.extend(lambda trainer: order.append('other'), trigger=(1, 'iteration'), priority=1)
    snapshot = extensions.snapshot(writer=lambda *args: order.append('snapshot'))
    trainer.extend(snapshot, trigger=(1, 'iteration'), priority=2)
    trainer.run()
    assert order == ['snapshot', 'other']


def test_random_states_are_restored_unless_told_not_to(tmp_path, make_trainer):
    trainer = make_trainer(tmp_path)
    trainer.run()
    expected = numpy.random.rand(), random.random(), numpy.random.randn()
    for restore in (True, False):
        trainer = make_trainer(tmp_path, restore_random_state=restore)
        numpy.random.seed(0)
        random.seed(0)
        trainer.run()
        assert ((numpy.random.rand(), random.random(), numpy.random.randn()) == expected) is restore


def test_random_states_are_set_after_all_that_comes_before_training(tmp_path, make_trainer):
    make_trainer(tmp_path).run()
    expected = numpy.random.rand()
    trainer = make_trainer(tmp_path)
    trainer.extend(
        lambda trainer: numpy.random.rand(), name='early', trigger=(9, 'iteration'), call_before_training=True
    )
    with numpy.load(tmp_path / 'snapshot_iter_6') as f:
        entries = dict(f)
    for key in ('previous_iteration', 'previous_epoch_detail'):
        entries[f'extension_triggers/early/{key}'] = numpy.array(0)
    with open(tmp_path / 'snapshot_iter_7', 'wb') as f:
        numpy.savez(f, **entries)
    trainer.run()
    assert trainer.updater.iteration == 6
    assert numpy.random.rand() == expected


def test_a_snapshot_holds_no_pickles(tmp_path, make_trainer):
    make_trainer(tmp_path).run()
    with numpy.load(tmp_path / 'snapshot_iter_6', allow_pickle=False) as f:
        assert 'random_state/numpy' in f.files
        for name in f.files:
            f[name]


def test_the_dynamic_loss_scale_goes_on(tmp_path, make_trainer):
    trainer = make_trainer(tmp_path)
    optimizer = trainer.updater.get_optimizer('main')
    optimizer.loss_scaling()
    optimizer._loss_scale, optimizer._loss_scaling_isnan_ever = 4096.0, True
    serializers.save_npz(tmp_path / 'file', trainer)
    other = make_trainer(tmp_path)
    other.updater.get_optimizer('main').loss_scaling()
    serializers.load_npz(tmp_path / 'file', other)
    assert other.updater.get_optimizer('main')._loss_scale == 4096.0
    assert other.updater.get_optimizer('main')._loss_scaling_isnan_ever is True


def test_a_snapshot_can_be_hdf5(tmp_path, make_trainer):
    pytest.importorskip('h5py')
    make_trainer(tmp_path, 4, extensions.snapshot(savefun=serializers.save_hdf5)).run()
    trainer = make_trainer(tmp_path, 6)
    trainer.run()
    assert trainer.updater.iteration == 6


def test_old_snapshots_are_removed(tmp_path, make_trainer):
    trainer = make_trainer(tmp_path, 6, extensions.snapshot(n_retains=2))
    trainer.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['snapshot_iter_5', 'snapshot_iter_6']


@pytest.mark.parametrize('name', ['ThreadWriter', 'ProcessWriter', 'ThreadQueueWriter', 'ProcessQueueWriter'])
def test_writers_in_the_background_write_what_was_there(tmp_path, name, device):
    writer = getattr(extensions.snapshot_writers, name)()
    model = L.Linear(200, 200)
    expected = model.W.array.copy()
    model.to_device(device)
    writer('file', str(tmp_path), serializers.npz.serialize(model))
    model.W.array[...] = 0  # training goes on
    writer.finalize()
    with numpy.load(tmp_path / 'file') as f:
        numpy.testing.assert_array_equal(f['W'], expected)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.host('texts of errors')
def test_savefun_and_writer_exclude_each_other():
    with pytest.raises(TypeError, match='cannot be specified together'):
        extensions.snapshot(savefun=print, writer=print)
    with pytest.raises(TypeError, match='format string'):
        extensions.snapshot(filename=lambda trainer: 'x', autoload=True)


def test_a_training_that_draws_goes_on_with_the_same_numbers(tmp_path, device):
    def run(out, iterations, seed):
        """The weights in the end."""
        chainlite.seed(seed)
        model = L.Linear(2, 2, initialW=numpy.eye(2))
        optimizer = optimizers.SGD().setup(model)
        iterator = iterators.SerialIterator(numpy.ones((12, 2), 'f'), 3)
        loss = lambda x: F.sum(F.dropout(model(x)) ** 2)  # noqa: E731
        updater = training.StandardUpdater(iterator, optimizer, loss_func=loss, device=device)
        trainer = training.Trainer(updater, (iterations, 'iteration'), out=str(out))
        trainer.extend(extensions.snapshot(autoload=True), trigger=(1, 'iteration'))
        trainer.run()
        return model.W.array.tolist()

    whole = run(tmp_path / 'whole', 6, seed=1)
    assert run(tmp_path / 'other', 6, seed=2) != whole
    for iterations, seed in ((2, 1), (4, 2)):
        run(tmp_path / 'broken', iterations, seed)
    assert run(tmp_path / 'broken', 6, seed=3) == whole
