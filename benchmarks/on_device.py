"""Measures on the GPU of this machine, and checks there what runs on the stand-in elsewhere: see on_device.sh.

    python benchmarks/on_device.py [--out FOLDER] [--seconds 570] [--tiny] [SECTION ...]

Each section is a process with a time limit of its own, so that none keeps the others from running, whatever happens to
the device. It prints a JSON object per line; what it printed before it failed or ran out of time counts. The file is
written after each section. `--tiny` goes through everything with the smallest sizes, also on the stand-in.
"""

import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
TO_END = 6  # seconds that an interrupted section has to print what it found
# name: command, seconds at most, seconds without which it is not worth to begin
PYTEST = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', '--tb=line']
SECTIONS = {
    'versions': (['on_device_sections.py', 'versions'], 60, 1),
    'bandwidth': (['on_device_sections.py', 'bandwidth'], 45, 20),
    'products': (['on_device_sections.py', 'products'], 50, 20),
    'small_networks': (['on_device_networks.py', 'mlp', 'lenet5', 'resnet20'], 50, 30),
    'resnet50': (['on_device_networks.py', 'resnet50'], 120, 40),
    'tests': ([*PYTEST, 'tests/gpu', 'tests/test_ops.py', '-m', 'gpu'], 90, 20),
    'vgg16_googlenet': (['on_device_networks.py', 'vgg16', 'googlenet'], 60, 25),
    'predictions': (['on_device_networks.py', '--predict', 'resnet50', 'vgg16', 'googlenet'], 55, 25),
    'sanitizer': (['compute-sanitizer'], 35, 20),
    'compiled': (['on_device_networks.py', 'resnet50', '--compiled'], 60, 45),
}


def command(name, tiny):
    """The words of a section's command."""
    words, *_ = SECTIONS[name]
    if words[0] == 'compute-sanitizer':
        tests = ['tests/gpu/test_kernels.py', '-k', 'max_pool_agrees and float32' if tiny else 'float32', '-x']
        return [words[0], '--error-exitcode', '9', sys.executable, *PYTEST, *tests]
    if words[0] == '-m':
        if tiny:
            words = [*PYTEST, 'tests/gpu/test_kernels.py', '-k', 'max_pool_agrees']
        elif importlib.util.find_spec('xdist'):
            words = [*words, '-n', '8']
        return [sys.executable, *words]
    return [sys.executable, str(HERE / words[0]), *words[1:], *(['--tiny'] if tiny else [])]


def run(name, tiny, seconds):
    """Runs a section: what it found, how long it took, and how it ended."""
    began = time.perf_counter()
    environment = {**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    environment['CHAINLITE_DEADLINE'] = str(
        time.time() + seconds - TO_END - 2
    )  # a section that knows it ends in time by itself
    result = {}
    try:
        output, errors, result['status'] = _output(command(name, tiny), environment, seconds)
    except FileNotFoundError as error:
        output, errors, result['status'] = '', '', f'not there: {error.filename}'
    result['seconds'] = round(time.perf_counter() - began, 1)
    result['rows'] = [json.loads(line) for line in output.splitlines() if line.startswith('{')]
    rest = [line for line in output.splitlines() if not line.startswith('{')]
    if name in ('tests', 'sanitizer'):
        result['summary'] = [line for line in rest if re.search(r'\d+ (passed|failed)|ERROR SUMMARY', line)][-2:]
        result['failed'] = [line for line in rest if line.startswith(('FAILED', 'ERROR '))][:50]
    if result['status'] != 0:
        result['output'], result['errors'] = '\n'.join(rest)[-2000:], errors[-3000:]
    return result


def _output(words, environment, seconds):
    """What a program prints, and its status. Near the end of its time it is interrupted, at the end it is killed."""
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors='replace')
    with subprocess.Popen(words, cwd=ROOT, env=environment, start_new_session=True, **pipes) as process:
        try:
            return *process.communicate(timeout=max(seconds - TO_END, 1)), process.returncode
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        try:
            return *process.communicate(timeout=TO_END), 'out of time'
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it started
        return *process.communicate(), 'out of time'


def commit():
    done = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sections', nargs='*', metavar='SECTION', help=', '.join(SECTIONS))
    parser.add_argument('--out', type=Path, default=HERE / 'results')
    parser.add_argument('--seconds', type=float, default=570, help='for everything')
    parser.add_argument('--tiny', action='store_true')
    arguments = parser.parse_args()
    for name in arguments.sections:
        if name not in SECTIONS:
            parser.error(f'there is no section {name!r}')
    end = time.perf_counter() + arguments.seconds
    now = datetime.datetime.now(datetime.timezone.utc)
    report = {'date': now.isoformat(timespec='seconds'), 'commit': commit(), 'tiny': arguments.tiny, 'sections': {}}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = None
    for name in dict.fromkeys(['versions', *(arguments.sections or SECTIONS)]):
        _, limit, least = SECTIONS[name]
        left = end - time.perf_counter()
        if left < least:
            report['sections'][name] = {'status': f'left out: {left:.0f} seconds were left'}
        else:
            # The smallest sizes go through on the stand-in, too, which first compiles every kernel.
            report['sections'][name] = run(name, arguments.tiny, left if arguments.tiny else min(limit, left))
        found = report['sections'][name]
        print(f'{name}: {found["status"]}, {found.get("seconds", 0)} s, {len(found.get("rows", []))} rows', flush=True)
        if path is None:
            rows = found.get('rows') or [{}]
            device = re.sub(r'[^A-Za-z0-9]+', '-', rows[0].get('device', 'unknown')).strip('-')
            path = arguments.out / f'{device}-{now:%Y-%m-%d-%H%M}.json'
        path.write_text(json.dumps(report, indent=1) + '\n')
    print(path)
    return 0 if all(found['status'] == 0 for found in report['sections'].values()) else 1


if __name__ == '__main__':
    sys.exit(main())
