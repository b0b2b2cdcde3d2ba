"""Tests that use a GPU, and a summary by part: the folders of tests/, and the files that lie directly in it."""

import ctypes
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

import cuda_on_cpu  # noqa: E402

cuda_on_cpu.install()


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


def pytest_collection_modifyitems(config, items):
    """Without a GPU and its stand-in, tests of CuPy are left to `make test-gpu`."""
    if not has_gpu():
        left = [item for item in items if item.get_closest_marker('gpu')]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker('gpu')]


def part_of(nodeid):
    """'tests/functions/test_relu.py::test_x' -> 'functions'; 'tests/test_floors.py::test_x' -> 'floors'."""
    path = Path(nodeid.split('::')[0])
    parts = path.parts[1:] if path.parts[:1] == (ROOT.name,) else path.parts
    return parts[0] if len(parts) > 1 else path.stem.removeprefix('test_')


def pytest_terminal_summary(terminalreporter):
    counts = {}
    for outcome, reports in terminalreporter.stats.items():
        column = {'error': 'failed', 'xpassed': 'failed', 'xfailed': 'skipped'}.get(outcome, outcome)
        if column not in ('passed', 'failed', 'skipped'):
            continue
        for report in reports:
            nodeid = getattr(report, 'nodeid', '')
            if '.py' in nodeid:  # not an error of a worker process
                counts.setdefault(part_of(nodeid), Counter())[column] += 1
    if not counts:
        return
    width = max(map(len, [*counts, 'part']))
    terminalreporter.section('summary by part')
    terminalreporter.write_line(f'{"part":{width}}  passed  failed  skipped')
    for part, count in sorted(counts.items()):
        line = f'{part:{width}}  {count["passed"]:6}  {count["failed"]:6}  {count["skipped"]:7}'
        terminalreporter.write_line(line, red=bool(count['failed']))
