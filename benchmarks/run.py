"""Time chainlite beside Chainer and PyTorch, interleaved: ``python benchmarks/run.py [--help]``.

A repetition times every framework once, in turn, so that a busy machine slows all of them; what is reported is the
median over the repetitions, the spread (half the distance between the quartiles) and the median of the ratios. A row
is marked `busy` if other programs took more than a tenth of a core meanwhile.

BENCHMARK_CLOCK=process takes the processor's time instead of the clock's: for one thread on a machine that is busy.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


BUSY = 0.1  # cores that others use


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cases', nargs='*', help='cases whose names contain one of these (default: all)')
    parser.add_argument('--threads', default='1', help="number of threads, or 'all' (default: 1)")
    parser.add_argument('--repeat', type=int, default=15, help='repetitions (default: 15)')
    parser.add_argument('--seconds', type=float, default=0.03, help='least time of one measurement (default: 0.03)')
    parser.add_argument(
        '--without', nargs='*', default=[], choices=['chainer', 'torch', 'channels_last'], help='leave out'
    )
    parser.add_argument('--markdown', action='store_true', help='print the table in Markdown')
    parser.add_argument('--json', type=Path, help='also write everything measured here')
    parser.add_argument('--check', action='store_true', help='exit with 1 where chainlite is slower than Chainer')
    return parser.parse_args()


def set_threads(threads):
    """Tell the linear algebra libraries their number of threads; only possible before NumPy is imported."""
    number = os.cpu_count() if threads == 'all' else int(threads)
    for variable in ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS']:
        os.environ[variable] = str(number)
    return number


def open_frameworks(without):
    """chainlite and whatever there is to compare it with; one line for each that is missing."""
    from frameworks import Worker, in_process
    from layer_cases import IMAGES

    frameworks = [in_process('chainlite')]
    oracle = os.environ.get('CHAINER_ORACLE')
    if oracle and 'chainer' not in without:
        frameworks.append(Worker('chainer', oracle))
    elif 'chainer' not in without:
        print('no column for Chainer: set CHAINER_ORACLE to a Python that has Chainer 7.8.1', file=sys.stderr)
    if 'torch' not in without and importlib.util.find_spec('torch'):
        frameworks.append(Worker('torch', sys.executable))
        if 'channels_last' not in without:
            frameworks += [Worker('torch channels_last', sys.executable), in_process('chainlite channels_last')]
            frameworks[-1].only = IMAGES  # whole networks choose their layouts by themselves
    elif 'torch' not in without:
        print('no column for PyTorch: pip install torch==2.13.0', file=sys.stderr)
    return frameworks


def same(checksums, others, tolerance=2e-4):
    return all(abs(a - b) <= tolerance * max(scale, 1e-6) for (a, scale), (b, _) in zip(checksums, others))


def repetitions(first_run, run, frameworks, repeat):
    """Seconds per unit of work, for each framework by name; who begins changes from one repetition to the next."""
    units = {f.name: first_run(f) for f in frameworks}
    seconds = {f.name: [] for f in frameworks}
    for i in range(repeat):
        shift = i % len(frameworks)
        for f in frameworks[shift:] + frameworks[:shift]:
            seconds[f.name].append(run(f, units[f.name]) / units[f.name])
    return seconds


def time_case(case, frameworks, repeat, least):
    """Build, compare and time one case; returns (seconds by framework, errors by framework)."""
    checksums, errors = {}, {}
    for f in frameworks:
        if not case.startswith(f.only):
            continue
        try:
            checksums[f.name] = f.build(case)
        except Exception as error:
            errors[f.name] = f'{type(error).__name__}: {error}'.splitlines()[0]
    if 'chainlite' in checksums:
        for name, others in checksums.items():
            if not same(checksums['chainlite'], others):
                errors[name] = f'differs from chainlite: {others} != {checksums["chainlite"]}'

    def calibrate(f):
        f.run(1)
        number = 1
        while (seconds := f.run(number)) < least:
            number = max(number + 1, int(number * min(10, 1.2 * least / seconds)))
        return number

    working = [f for f in frameworks if f.name in checksums]
    return repetitions(calibrate, lambda f, number: f.run(number), working, repeat), errors


def time_import(frameworks, repeat):
    libraries = [f for f in frameworks if not f.name.endswith(' channels_last')]
    return repetitions(lambda f: 1, lambda f, _: f.import_seconds(), libraries, min(repeat, 7)), {}


class Others:
    """How many cores others than the given processes use, on average since it was made; None where nobody tells."""

    def __init__(self, frameworks):
        self.processes = [os.getpid(), *(f.process.pid for f in frameworks if hasattr(f, 'process'))]
        self.begin = self._read()

    def _read(self):
        """Seconds since some time: of all cores together in use or withheld from this machine, the same of our
        processes and of children that ended, and the clock."""
        try:
            user, nice, system, _, _, *rest = map(int, Path('/proc/stat').read_text().split('\n', 1)[0].split()[1:9])
            stats = [Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split() for pid in self.processes]
        except OSError:
            return None
        own = sum(sum(map(int, stat[11:15])) for stat in stats)
        tick = os.sysconf('SC_CLK_TCK')
        return (user + nice + system + sum(rest)) / tick, own / tick, time.monotonic()

    def cores(self):
        end = self._read()
        if end is None or self.begin is None:
            return None
        used, own, seconds = (b - a for a, b in zip(self.begin, end))
        return max(used - own, 0) / max(seconds, 1e-3)


def summary(seconds):
    """Median, spread and how many times chainlite's speed each framework has to be multiplied by to reach it: that of
    chainlite with the same layout, where both have been timed."""
    result = {}
    for name, values in seconds.items():
        quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
        result[name] = {
            'median': statistics.median(values),
            'spread': (quartiles[2] - quartiles[0]) / 2,
            'seconds': values,
        }
        ours = f'chainlite{name.removeprefix("torch")}' if name.startswith('torch') else 'chainlite'
        ours = seconds.get(ours) or seconds.get('chainlite')
        if ours:
            result[name]['ratio'] = statistics.median(a / b for a, b in zip(values, ours))
    return result


def text_of(seconds):
    unit, factor = ('s', 1) if seconds >= 1 else ('ms', 1e3) if seconds >= 1e-3 else ('us', 1e6)
    return f'{seconds * factor:.3g} {unit}'


def row(case, frameworks, result, errors, busy):
    from network_cases import images

    cells = [f'{case} (busy)' if busy else case]
    for f in frameworks:
        r = result.get(f.name)
        cells.append(f'{text_of(r["median"])} ±{100 * r["spread"] / r["median"]:.0f} %' if r else '-')
        if r and (number := images(case)):
            cells[-1] += f', {number / r["median"]:.3g}/s'
    for f in frameworks[1:]:
        r = result.get(f.name, {})
        cells.append(f'{r["ratio"]:.2f}' if 'ratio' in r else '-')
    return cells + ([f'! {errors}'] if errors else [])


def processor():
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.split(':')[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def environment(frameworks, threads):
    import numpy

    return {
        'processor': processor(),
        'cores': os.cpu_count(),
        'threads': threads,
        'system': platform.platform(),
        'python': platform.python_version(),
        'numpy': numpy.__version__,
        **{f.name: f.version for f in frameworks},
    }


def main():
    arguments = parse()
    threads = set_threads(arguments.threads)
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    os.environ['PYTHONPATH'] = str(HERE.parent)
    import chainer_cases

    frameworks = open_frameworks(arguments.without)
    where = environment(frameworks, threads)
    print(', '.join(f'{key} {value}' for key, value in where.items()))

    cases = ['import', *(name[5:] for name in vars(chainer_cases) if name.startswith('time_'))]
    cases = [c for c in cases if not arguments.cases or any(part in c for part in arguments.cases)]
    heads = ['case', *(f.name for f in frameworks), *(f'{f.name} / chainlite' for f in frameworks[1:])]
    separator = ' | ' if arguments.markdown else '  '
    if arguments.markdown:
        print('\n| ' + ' | '.join(heads) + ' |\n|' + '---|' * len(heads))
    else:
        print(separator.join(f'{head:<22}' for head in heads))

    results, used, slower, wrong = {}, {}, [], []
    for case in cases:
        others = Others(frameworks)
        if case == 'import':
            seconds, errors = time_import(frameworks, arguments.repeat)
        else:
            seconds, errors = time_case(case, frameworks, arguments.repeat, arguments.seconds)
        results[case] = result = summary(seconds)
        used[case] = others.cores()
        cells = row(case, frameworks, result, errors, (used[case] or 0) > BUSY)
        print(
            '| ' + ' | '.join(cells) + ' |' if arguments.markdown else separator.join(f'{c:<22}' for c in cells),
            flush=True,
        )
        wrong += [case] if errors else []
        slower += [case] if result.get('chainer', {}).get('ratio', 1) < 1 else []

    if arguments.json:
        measured = {'environment': where, 'cases': results, 'cores_used_by_others': used}
        arguments.json.write_text(json.dumps(measured, indent=1) + '\n')
    if wrong:
        print('failed or different:', ', '.join(wrong))
    if slower:
        print('slower than Chainer:', ', '.join(slower))
    return 1 if wrong or (arguments.check and slower) else 0


if __name__ == '__main__':
    sys.exit(main())
