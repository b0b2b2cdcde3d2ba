"""The host's time for a training step of ResNet-50 on a GPU: ``python benchmarks/gpu_host_time.py [--profile]``.

Runs on the stand-in of tests/cuda_on_cpu with its driver off: nothing is computed, what remains is what Python, CuPy and
the calls into the driver take. Prints milliseconds per step and launches by part.
"""

import argparse
import cProfile
import json
import os
import pstats
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault('CHAINLITE_CUDA_ON_CPU', '1')
os.environ.setdefault('CUDA_ON_CPU_POOL', '1')  # as on a GPU
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]

import cuda_on_cpu  # noqa: E402

cuda_on_cpu.install()

from gpu.steps import ResNet50Step  # noqa: E402


def timed(step, repeat):
    """{part: sorted seconds}."""
    seconds = {part.__name__: [] for part in step.parts}
    for _ in range(repeat):
        for part in step.parts:
            start = time.perf_counter()
            part(step)
            seconds[part.__name__].append(time.perf_counter() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument('--repeat', type=int, default=30)
    parser.add_argument('--profile', action='store_true', help='print what the time is spent in')
    parser.add_argument('--json', type=Path, help='also write the figures here')
    arguments = parser.parse_args()
    with cuda_on_cpu.null_driver():
        step = ResNet50Step(arguments.batch)
        step()
        step()
        launches = {}
        cuda_on_cpu.take_counts()
        for part in step.parts:
            part(step)
            launches[part.__name__] = sum(cuda_on_cpu.take_counts().values())
        seconds = timed(step, arguments.repeat)
        if arguments.profile:
            profile = cProfile.Profile()
            profile.enable()
            for _ in range(5):
                step()
            profile.disable()
    rows = {p: {'launches': n, 'ms': statistics.median(seconds[p]) * 1e3} for p, n in launches.items()}
    rows['step'] = {
        'launches': sum(launches.values()),
        'ms': statistics.median(map(sum, zip(*seconds.values()))) * 1e3,
    }
    print(f'{"":10} {"launches":>8} {"ms":>8} {"best ms":>8}')
    for name, row in rows.items():
        best = min(seconds[name]) if name in seconds else min(map(sum, zip(*seconds.values())))
        print(f'{name:10} {row["launches"]:8} {row["ms"]:8.2f} {best * 1e3:8.2f}')
    if arguments.profile:
        pstats.Stats(profile).sort_stats('tottime').print_stats(40)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()
