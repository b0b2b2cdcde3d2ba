"""The LeNet-5 example from the outside: what it learns, what it leaves behind, and that it can be interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cuda_on_cpu
import numpy as np
import pytest

RUNNER = [Path(__file__).with_name('without_tensor_cores.py')] if cuda_on_cpu.enabled() else []
SCRIPT = Path(__file__).parents[2] / 'examples' / 'mnist' / 'train_lenet.py'


def command(*arguments, runner=()):
    return [sys.executable, '-W', 'error', *runner, *RUNNER, SCRIPT, *map(str, arguments)]


def environment(**more):
    paths = [str(SCRIPT.parents[2]), os.environ.get('PYTHONPATH', '')]
    threads = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}  # tests run side by side
    return {**os.environ, **threads, 'PYTHONPATH': os.pathsep.join(filter(None, paths)), 'MPLBACKEND': 'Agg', **more}


def train(*arguments, **more):
    done = subprocess.run(
        command(*arguments), env=environment(**more), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(*arguments, until):
    """A run that goes no further when the file `until` is there."""
    words = command(*arguments, runner=[Path(__file__).with_name('waiting.py'), until])
    return subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(path, process):
    deadline = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, f'{path} did not appear'
        time.sleep(0.01)


def assert_same_weights(out, other):
    with np.load(out / 'model.npz') as a, np.load(other / 'model.npz') as b:
        assert set(a.files) == set(b.files)
        assert len(a.files) == 10
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], strict=True)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """The result folder of a short run that nothing disturbed."""
    out = tmp_path_factory.mktemp('uninterrupted')
    train('--epoch', 5, '--seed', 3, '--out', out)
    return out


def test_default_run_learns_the_digits_and_leaves_its_results(tmp_path, device):
    """On CuPy two epochs of it, by larger steps."""
    epochs, accuracy, fall, options = 20, 0.97, 5, []
    if device.xp is not np:
        epochs, accuracy, fall, options = 2, 0.7, 1.5, ['--epoch', 2, '--batchsize', 64]
    printed = train('--out', tmp_path, '--seed', 1, '--device', device.name, *options)
    log = json.loads((tmp_path / 'log').read_text())
    assert [entry['epoch'] for entry in log] == list(range(1, epochs + 1))
    assert log[-1]['validation/main/accuracy'] >= accuracy
    assert log[-1]['main/loss'] < log[0]['main/loss'] / fall
    assert f'test accuracy {log[-1]["validation/main/accuracy"]:.4f}' in printed
    assert {'iteration', 'elapsed_time', 'main/accuracy', 'validation/main/loss'} <= set(log[0])
    for name in ['loss.png', 'accuracy.png']:
        assert (tmp_path / name).read_bytes().startswith(b'\x89PNG')
    graph = (tmp_path / 'graph.dot').read_text()
    assert graph.startswith('digraph')
    assert 'Convolution2DFunction' in graph
    assert 'SoftmaxCrossEntropy' in graph
    assert {path.name for path in tmp_path.glob('snapshot*')} == {f'snapshot_epoch_{epochs - k}' for k in (0, 1)}


def test_same_seed_gives_the_same_weights(tmp_path, device):
    options = '--seed', 3, '--device', device.name, '--epoch', 1, '--batchsize', 32 if device.xp is np else 400
    for folder in 'one', 'other':
        train(*options, '--out', tmp_path / folder)
    assert_same_weights(tmp_path / 'one', tmp_path / 'other')


@pytest.mark.host('signals and files; on CuPy, test_resume.py')
@pytest.mark.parametrize('signum', [signal.SIGKILL, signal.SIGINT], ids=['killed', 'ctrl-c'])
def test_interrupted_run_ends_with_the_same_weights(uninterrupted, tmp_path, signum):
    snapshot = tmp_path / 'snapshot_epoch_2'
    process = start('--epoch', 5, '--seed', 3, '--out', tmp_path, until=snapshot)
    wait_for(snapshot, process)
    process.send_signal(signum)
    error = process.communicate()[1].decode()
    assert process.returncode != 0
    assert not (tmp_path / 'model.npz').exists()
    if signum == signal.SIGINT:
        assert 'interrupted' in error
        assert 'Traceback' not in error
    train('--epoch', 5, '--seed', 3, '--out', tmp_path, '--autoload')
    assert_same_weights(uninterrupted, tmp_path)
    log = json.loads((tmp_path / 'log').read_text())
    assert [entry['epoch'] for entry in log] == [1, 2, 3, 4, 5]


@pytest.mark.host('reads files; on CuPy, test_resume.py')
def test_resume_goes_on_from_the_named_snapshot(uninterrupted, tmp_path):
    train('--epoch', 5, '--seed', 3, '--out', tmp_path, '--resume', uninterrupted / 'snapshot_epoch_4')
    assert_same_weights(uninterrupted, tmp_path)


@pytest.mark.host('texts of errors')
def test_missing_scikit_learn_is_said_in_one_line(tmp_path):
    (tmp_path / 'sklearn.py').write_text('raise ImportError("hidden")')
    done = subprocess.run(
        command('--out', tmp_path / 'result'),
        env=environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(SCRIPT.parents[2])])),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == 'scikit-learn is needed for the digits: pip install chainlite[demo]'
