"""The measurements on a device: that they run, here on the stand-in with tiny sizes, and what is written down."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

keeps = pytest.mark.host('what becomes of the sections: nothing is measured')
BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.gpu
def test_the_script_measures_and_its_table_is_printed(tmp_path):
    sections = ['bandwidth', 'products', 'small_networks', 'predictions']
    environment = {**os.environ, 'PYTHON': sys.executable, 'OUT': str(tmp_path)}
    script = ['bash', BENCHMARKS / 'on_device.sh', '--tiny', *sections]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob('*.json')
    report = json.loads(path.read_text())
    assert list(report['sections']) == ['versions', *sections]
    for name, section in report['sections'].items():
        assert section['status'] == 0
        assert section['rows'] and not any('error' in row for row in section['rows']), (name, section)
    assert report['sections']['versions']['rows'][0]['CuPy'].startswith('14.')
    for section in 'small_networks', 'predictions':
        networks = {row['variant']: row for row in report['sections'][section]['rows']}
        assert {'chainlite', 'chainlite, graph'} <= set(networks)
        assert networks['chainlite']['losses'] == pytest.approx(networks['chainlite, graph']['losses'], rel=1e-5)
    table = [sys.executable, BENCHMARKS / 'on_device_table.py', path]
    printed = subprocess.run(table, capture_output=True, text=True, timeout=300, check=True).stdout
    assert printed.count('| mlp, 2 | float32 | chainlite |') == 2  # training and predictions
    assert '| max_pooling |' in printed and '| resnet50_first, forward |' in printed


def run(monkeypatch, code, seconds=300, name='bandwidth'):
    on_device = load('on_device')
    monkeypatch.setattr(on_device, 'command', lambda name, tiny: [sys.executable, '-c', code])
    return on_device.run(name, True, seconds)


# A section that has found something, says so by a file, and goes on.
LONG = """
import pathlib, time
print('{"kernel": "copy"}', flush=True)
pathlib.Path(%r).touch()
time.sleep(60)
print('{"kernel": "too late"}')
"""


@pytest.fixture
def run_long(monkeypatch, tmp_path):
    """Runs it, in a second that begins when it has found something: a busy machine may start it later."""
    begun = tmp_path / 'begun'

    class Popen(subprocess.Popen):
        def communicate(self, *args, **kwargs):
            end = time.monotonic() + 60
            while not begun.exists() and time.monotonic() < end:
                time.sleep(0.01)
            return super().communicate(*args, **kwargs)

    monkeypatch.setattr(subprocess, 'Popen', Popen)
    return lambda first='': run(monkeypatch, first + LONG % str(begun), seconds=1)


@keeps
def test_what_a_section_found_before_it_failed_counts(monkeypatch):
    found = run(monkeypatch, 'print(\'{"kernel": "copy"}\', flush=True); import os; os.abort()')
    assert found['status'] == -6 and found['rows'] == [{'kernel': 'copy'}]


@keeps
def test_a_section_that_hangs_is_ended(run_long):
    found = run_long()
    assert found['status'] == 'out of time' and found['rows'] == [{'kernel': 'copy'}]


@keeps
def test_a_section_that_does_not_listen_is_killed(run_long):
    found = run_long('import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)')
    assert found['status'] == 'out of time' and found['rows'] == [{'kernel': 'copy'}]


@keeps
def test_the_summary_of_the_tests_is_kept(monkeypatch):
    code = 'print("FAILED tests/x.py::test_y\\n1 failed, 2 passed in 3s"); raise SystemExit(1)'
    found = run(monkeypatch, code, name='tests')
    assert found['summary'] == ['1 failed, 2 passed in 3s'] and found['failed'] == ['FAILED tests/x.py::test_y']


@keeps
def test_a_program_that_is_missing_is_said(monkeypatch):
    on_device = load('on_device')
    monkeypatch.setattr(on_device, 'command', lambda name, tiny: ['a-program-that-does-not-exist'])
    assert on_device.run('sanitizer', True, 5)['status'] == 'not there: a-program-that-does-not-exist'


@keeps
def test_sections_without_time_are_left_out(monkeypatch, tmp_path, capsys):
    on_device = load('on_device')
    monkeypatch.setattr(on_device, 'command', lambda name, tiny: [sys.executable, '-c', 'print(\'{"device": "A B"}\')'])
    monkeypatch.setitem(on_device.SECTIONS, 'products', ([], 50, 1e9))  # worth to begin with that much time
    monkeypatch.setattr(sys, 'argv', ['on_device.py', '--out', str(tmp_path), 'products'])
    assert on_device.main() == 1
    (path,) = tmp_path.glob('A-B-*.json')
    sections = json.loads(path.read_text())['sections']
    assert sections['versions']['status'] == 0 and sections['products']['status'].startswith('left out')
