"""Snapshots of trainers go both ways between Chainer 7.8.1 and here."""

import json
import runpy
from pathlib import Path

import numpy
import pytest

import chainlite
from chainlite import datasets, functions, iterators, links, optimizers, serializers, training  # noqa: F401
from chainlite.testing import assert_allclose

STORED = Path(__file__).with_name('chainer_7.8.1_trainer.npz')
make_trainer = runpy.run_path(Path(__file__).with_name('chainer_snapshot.py'))['make_trainer']


def assert_equal(array, expected):
    assert_allclose(array, expected, rtol=0, atol=0)


@pytest.fixture
def stored():
    with numpy.load(STORED) as f:
        return {name: f[name] for name in f.files}


def test_a_snapshot_of_chainer_is_loaded(tmp_path, stored, device):
    trainer, iterator = make_trainer(chainlite, tmp_path, 20, device)
    serializers.load_npz(STORED, trainer)
    assert trainer.updater.iteration == 13
    assert iterator.epoch_detail == pytest.approx(13 * 3 / 20)
    numpy.testing.assert_array_equal(iterator._state.order, stored['updater/iterator:main/order'])
    optimizer = trainer.updater.get_optimizer('main')
    for name, param in optimizer.target.namedparams():
        assert_equal(param.array, stored['updater/model:main' + name])
        assert_equal(param.update_rule.state['v'], stored[f'updater/optimizer:main{name}/v'])
    assert len(trainer.get_extension('LogReport').log) == 4
    trainer.run()
    assert trainer.updater.iteration == 20
    assert optimizer.lr == pytest.approx(0.1 * 0.9**10, rel=1e-12)
    assert optimizer.momentum == pytest.approx(0.5 + 0.4 * 20 / 30, rel=1e-12)
    assert len(trainer.get_extension('LogReport').log) == 6


def test_a_snapshot_of_older_versions_is_loaded(tmp_path, stored, device):
    # They called the order differently, and saved less.
    old = {name.replace('iterator:main/order', 'iterator:main/_order'): array for name, array in stored.items()}
    del old['updater/iterator:main/previous_epoch_detail']
    numpy.savez(tmp_path / 'old.npz', **{name: array for name, array in old.items() if array.dtype != object})
    trainer, iterator = make_trainer(chainlite, tmp_path, 20, device)
    serializers.load_npz(tmp_path / 'old.npz', trainer)
    numpy.testing.assert_array_equal(iterator._state.order, stored['updater/iterator:main/order'])
    assert iterator.previous_epoch_detail == pytest.approx(12 * 3 / 20)


def test_all_that_chainer_asks_for_is_in_a_snapshot(tmp_path, stored, device):
    # It reads what it writes itself, with the same types, and nothing else.
    trainer, _ = make_trainer(chainlite, tmp_path, 13, device)
    trainer.run()
    ours = serializers.npz.serialize(trainer)
    assert set(stored) <= set(ours)
    for name, array in stored.items():
        assert ours[name].dtype.kind == array.dtype.kind, name
        assert ours[name].shape == array.shape, name
    assert all(array.dtype != object for name, array in ours.items() if name not in stored)


def test_the_training_itself_is_that_of_chainer(tmp_path, stored, device):
    # The same random numbers in the same order: initial weights, shuffles.
    trainer, _ = make_trainer(chainlite, tmp_path, 13, device)
    trainer.run()
    for name, param in trainer.updater.get_optimizer('main').target.namedparams():
        assert_allclose(param.array, stored['updater/model:main' + name], rtol=1e-4, atol=1e-6)
    assert trainer.updater.get_optimizer('main').lr == stored['extensions/ExponentialShift/_last_value']
    theirs = json.loads(str(stored['extensions/LogReport/_log']))
    ours = trainer.get_extension('LogReport').log
    for a, b in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            if key != 'elapsed_time':
                assert a[key] == pytest.approx(b[key], rel=1e-4), key
