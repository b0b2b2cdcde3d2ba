"""The benchmark harness: the same cases on either side, values compared, everything written down."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host('measures the CPU; those of a device, test_on_device.py')
BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


def run(*arguments, **more):
    environment = {**os.environ, 'CHAINER_ORACLE': '', **more}
    command = [sys.executable, BENCHMARKS / 'run.py', '--repeat', '3', '--seconds', '0.001', *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def python(code):
    """Runs code that may import the harness's modules, and says what went wrong."""
    code = f'import sys; sys.path[:0] = [{str(BENCHMARKS)!r}]\n{code}'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_case_is_timed_and_written_down(tmp_path):
    done = run('reshape', '--without', 'torch', '--json', tmp_path / 'out.json')
    assert done.returncode == 0, done.stderr
    assert 'no column for Chainer: set CHAINER_ORACLE' in done.stderr
    assert re.search(r'^reshape( \(busy\))? +\S+ us', done.stdout, re.MULTILINE)
    written = json.loads((tmp_path / 'out.json').read_text())
    assert {'processor', 'threads', 'python', 'numpy', 'chainlite'} <= set(written['environment'])
    times = written['cases']['reshape']['chainlite']
    assert len(times['seconds']) == 3
    assert 0 < min(times['seconds']) <= times['median'] <= max(times['seconds'])


def test_a_framework_in_a_worker_is_compared_with_ours(tmp_path):
    """chainlite under Chainer's name stands in for Chainer."""
    (tmp_path / 'chainer.py').write_text(
        f'import sys\nsys.path.insert(0, {str(BENCHMARKS.parent)!r})\n'
        'import chainlite\nchainlite.__version__ = "stand-in"\nsys.modules["chainer"] = chainlite\n'
    )
    python = tmp_path / 'python'
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = run('relu', 'mlp_step', '--without', 'torch', CHAINER_ORACLE=str(python))
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'chainer stand-in' in done.stdout
    assert 'chainer / chainlite' in done.stdout


def test_layers_of_images_are_compared_in_both_layouts(tmp_path):
    pytest.importorskip('torch', reason='PyTorch, to compare with, is not installed')
    results = tmp_path / 'times.json'
    done = run('max_pool_lenet', 'reshape', '--without', 'chainer', '--json', str(results))
    assert done.returncode == 0, done.stdout + done.stderr
    cases = json.loads(results.read_text())['cases']
    assert 'chainlite channels_last' not in cases['reshape']
    pooling = {name: times['seconds'] for name, times in cases['max_pool_lenet'].items()}
    ratios = [a / b for a, b in zip(pooling['torch channels_last'], pooling['chainlite channels_last'])]
    assert cases['max_pool_lenet']['torch channels_last']['ratio'] == pytest.approx(sorted(ratios)[len(ratios) // 2])


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='only Linux tells what others use')
def test_what_others_use_is_counted():
    """Of one that uses a second of the processor's time, whenever it gets it."""
    child = (
        'import time\n'
        'print(flush=True)\n'
        'input()\n'
        'end = time.process_time() + 1\n'
        'while time.process_time() < end: pass\n'
        'print(flush=True)\n'
        'input()\n'
    )
    python(
        'import subprocess, types, run\n'
        'pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)\n'
        f'with subprocess.Popen([sys.executable, "-c", {child!r}], **pipes) as child:\n'
        '    child.stdout.readline()\n'
        '    others = run.Others([types.SimpleNamespace(process=child)])\n'
        '    child.stdin.write(b"\\n")\n'
        '    child.stdout.readline()\n'
        '    used, own, _ = [end - begin for begin, end in zip(others.begin, others._read())]\n'
        '    child.stdin.write(b"\\n")\n'
        'assert 0.9 < own < 1.3 and 0.7 < used, (own, used)\n'
        'others.begin, others._read = (10, 1, 0), lambda: (14, 2, 2)\n'
        'assert others.cores() == 1.5\n'
    )


def test_a_case_that_fails_or_differs_is_said(tmp_path):
    python(
        'import run\n'
        'class Framework:\n'
        '    only = ""\n'
        '    def __init__(self, name, checksums): self.name, self.checksums = name, checksums\n'
        '    def run(self, number): return 1.0\n'
        '    def build(self, case):\n'
        '        if self.checksums is None: raise ValueError("broken")\n'
        '        return self.checksums\n'
        'checksums = {"chainlite": [(1.0, 2.0)], "chainer": [(1.1, 2.0)], "torch": None}\n'
        'frameworks = [Framework(*item) for item in checksums.items()]\n'
        'seconds, errors = run.time_case("x", frameworks, 2, 0.1)\n'
        'assert sorted(seconds) == ["chainer", "chainlite"]\n'
        'assert errors["torch"] == "ValueError: broken"\n'
        'assert errors["chainer"].startswith("differs from chainlite")\n'
    )


def test_both_sides_have_the_same_cases():
    python(
        'import chainer_cases, torch_cases\n'
        'cases = [{name for name in vars(m) if name.startswith("time_")} for m in (chainer_cases, torch_cases)]\n'
        'assert cases[0] == cases[1], cases[0] ^ cases[1]\n'
        'assert len(cases[0]) > 20\n'
    )


@pytest.mark.skipif('CHAINLITE_TEST_DATA' not in os.environ, reason='no folder is named by CHAINLITE_TEST_DATA')
def test_networks_learn_alike_in_chainlite_and_pytorch():
    pytest.importorskip('torch', reason='PyTorch, to compare with, is not installed')
    folder = os.path.join(os.environ['CHAINLITE_TEST_DATA'], 'cifar10')
    script = str(BENCHMARKS / 'accuracy_networks.py')
    command = [
        sys.executable,
        script,
        'two_classes',
        '--data',
        folder,
        '--epochs',
        '2',
        '--only',
        '640',
        '--seeds',
        '1',
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours, theirs = map(float, done.stdout.splitlines()[3].split()[1:])
    assert abs(ours - theirs) < 0.01
