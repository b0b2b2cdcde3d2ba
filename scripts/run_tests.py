"""Runs the tests, first those of the CPU, then those of the GPU (marked gpu), and sums both up by part.

    python scripts/run_tests.py [--only cpu|gpu] [paths and options of pytest]

The tests of the GPU run on one where there is a CUDA driver. Elsewhere they run on the stand-in of tests/cuda_on_cpu,
which is CuPy on the CPU, and are skipped where that can not be: it takes Linux on x86-64 and a C++ compiler.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = ('passed', 'failed', 'skipped')
NO_TESTS = 5  # pytest's exit status


def gpu_group():
    """Options of pytest and environment variables with which the tests of the GPU run here."""
    if Path('/dev/nvidiactl').exists():
        return ['-m', 'gpu', '-n', '1'], {}
    if platform.system() != 'Linux' or platform.machine() != 'x86_64':
        print('no GPU, and its stand-in needs Linux on x86-64: its tests are skipped')
    elif shutil.which(os.environ.get('CXX', 'g++')) is None:
        print('no GPU, and its stand-in needs a C++ compiler (Debian, Ubuntu: apt install g++): its tests are skipped')
    else:
        return ['-m', 'gpu'], {'CHAINLITE_CUDA_ON_CPU': '1'}
    return ['-m', 'gpu'], {}


def run(options, environ):
    """Runs pytest; returns its exit status and the counts of each part."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / 'counts.json'
        command = [sys.executable, '-m', 'pytest', '-q', '-n', 'auto', '--dist', 'worksteal', *options]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environ, 'CHAINLITE_TEST_COUNTS': str(counts)})
        return done.returncode, json.loads(counts.read_text()) if counts.exists() else {}


def table(counts):
    """Lines of a table of the outcomes by part."""
    width = max(map(len, [*counts, 'part']))
    yield f'{"part":{width}}' + ''.join(f'  {column:>7}' for column in COLUMNS)
    for part, count in sorted(counts.items()):
        yield f'{part:{width}}' + ''.join(f'  {count.get(column, 0):7}' for column in COLUMNS)


def main(args):
    only = args[1] if args[:1] == ['--only'] else None
    args = args[2:] if only else args
    groups = [] if only == 'gpu' else [(['-m', 'not gpu'], {})]
    groups += [] if only == 'cpu' else [gpu_group()]
    start = time.monotonic()
    statuses, counts = [], {}
    for options, environ in groups:
        status, found = run([*options, *args], environ)
        statuses.append(status)
        for part, count in found.items():
            counts[part] = Counter(counts.get(part, {})) + Counter(count)
    print(f'{" summary by part ":=^80}')
    print(*table(counts), sep='\n')
    total = sum(counts.values(), Counter())
    outcome = (
        ', '.join(f'{total[column]} {column}' for column in ('failed', 'passed', 'skipped') if total[column])
        or 'no tests ran'
    )
    print(f'{f" {outcome} in {time.monotonic() - start:.2f}s ":=^80}')
    return max((s for s in statuses if s != NO_TESTS), default=NO_TESTS)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
