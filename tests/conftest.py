"""Tests that use a GPU, and a summary by part: the folders of tests/, and the files that lie directly in it."""

import ctypes
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))  # for what several tests share: samples, cuda_on_cpu

import cuda_on_cpu  # noqa: E402

cuda_on_cpu.install()

# A shell has what it runs in the background ignore Ctrl-C, which tests send to their processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def has_gpu():
    """Whether there is a GPU's driver, or the stand-in is asked for; CuPy is not imported to find out."""
    try:
        return cuda_on_cpu.enabled() or bool(ctypes.CDLL('libcuda.so.1'))
    except OSError:
        return False


@pytest.fixture(params=['numpy', pytest.param('cupy', marks=pytest.mark.gpu)])
def xp(request):
    """NumPy, and CuPy where there is a GPU or its stand-in."""
    return pytest.importorskip(request.param)


@pytest.fixture
def device(xp):
    """The device whose arrays are those of `xp`: for `link.to_device(device)` and `device.send(array)`."""
    import chainlite

    return chainlite.get_device('@numpy' if xp.__name__ == 'numpy' else '@cupy:0')


@pytest.fixture
def on_device(device, request, monkeypatch):
    """Lets `xp` and the arrays that a test's module names be those of the device, for tables of calls; gives it."""
    import numpy as np

    for name, value in list(vars(request.module).items()):
        if value is np and name == 'xp':
            monkeypatch.setattr(request.module, name, device.xp)
        elif isinstance(value, np.ndarray):
            monkeypatch.setattr(request.module, name, device.send(value))
    return device


@pytest.fixture
def checked_kernels(monkeypatch):
    """Lets the race detector watch the kernels of kernels/*.cu."""
    from chainlite.backends.gpu import _launch

    # CuPy keeps modules by their source and options: with an option more it asks for others.
    monkeypatch.setattr(_launch, 'OPTIONS', (*_launch.OPTIONS, '-DCHECKED'))
    with cuda_on_cpu.checks():
        forget_kernels()
        yield
    forget_kernels()


def forget_kernels():
    """Lets kernels of kernels/*.cu be asked for anew, and the plans made that hold some."""
    for name, module in list(sys.modules.items()):
        if name.startswith('chainlite.backends.gpu.') and not name.endswith('._gemm'):  # its memory may be in use
            for value in vars(module).values():
                if hasattr(value, 'cache_clear'):
                    value.cache_clear()


def pytest_runtest_setup(item):
    mark = item.get_closest_marker('multi_gpu')
    if mark:
        found = pytest.importorskip('cupy').cuda.runtime.getDeviceCount()
        if found < mark.args[0]:
            pytest.skip(f'needs {mark.args[0]} GPUs, there is {found}')


def part_of(nodeid):
    """'tests/functions/test_relu.py::test_x' -> 'functions'; 'tests/test_floors.py::test_x' -> 'floors'."""
    path = Path(nodeid.split('::')[0])
    parts = path.parts[1:] if path.parts[:1] == (ROOT.name,) else path.parts
    return parts[0] if len(parts) > 1 else path.stem.removeprefix('test_')


def check_second_runs(items):
    """Every test runs on CuPy, too, or is marked as one that concerns the host alone, and says why."""
    runs = {}
    for item in items:
        device = 'gpu' if item.get_closest_marker('gpu') else 'host' if item.get_closest_marker('host') else 'numpy'
        runs.setdefault(item.nodeid.split('[')[0], set()).add(device)
    alone = [name for name, devices in runs.items() if devices == {'numpy'}]
    if alone:
        names = '\n'.join(alone)
        raise pytest.UsageError(
            f'run on NumPy alone: let them take the fixture `xp` or `device`, or mark them `host(why)`:\n{names}'
        )


@pytest.hookimpl(tryfirst=True)  # before options such as `-m gpu` choose by the marks
def pytest_collection_modifyitems(config, items):
    """Tests that ask for CuPy are tests of the GPU. Without one and without its stand-in they are left out."""
    for item in items:
        if 'cupy' in getattr(item, 'fixturenames', ()):
            item.add_marker('gpu')
    if not any('::' in path for path in config.args):  # whole files
        check_second_runs(items)
    if not has_gpu():
        left = [item for item in items if item.get_closest_marker('gpu')]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker('gpu')]


def pytest_terminal_summary(terminalreporter):
    """Prints the counts of each part; in a run of scripts/run_tests.py, leaves them to it in a file."""
    counts = {}
    for outcome, reports in terminalreporter.stats.items():
        column = {'error': 'failed', 'xpassed': 'failed', 'xfailed': 'skipped'}.get(outcome, outcome)
        if column not in ('passed', 'failed', 'skipped'):
            continue
        for report in reports:
            nodeid = getattr(report, 'nodeid', '')
            part = part_of(nodeid) if '.py' in nodeid else 'workers'  # an error of pytest's own processes
            counts.setdefault(part, Counter())[column] += 1
    if 'CHAINLITE_TEST_COUNTS' in os.environ:
        Path(os.environ['CHAINLITE_TEST_COUNTS']).write_text(json.dumps(counts))
        return
    terminalreporter.section('summary by part')
    for part, count in sorted(counts.items()):
        outcomes = ', '.join(f'{number} {column}' for column, number in sorted(count.items()))
        terminalreporter.write_line(f'{part}: {outcomes}', red=bool(count['failed']))
