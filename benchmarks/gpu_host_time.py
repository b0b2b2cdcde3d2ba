"""The host's time for a training step of ResNet-50 on a GPU: ``python benchmarks/gpu_host_time.py [--profile]``.

Runs on the stand-in of tests/cuda_on_cpu with its driver off: nothing is computed, what remains is what Python, CuPy
and the calls into the driver take. Prints launches and milliseconds by part: of the clock, and of this process (which
other programs on the machine disturb less).
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
    """Milliseconds by the clock and of this process: {part: lists of both}."""
    found = {part.__name__: ([], []) for part in step.parts}
    for _ in range(repeat):
        for part in step.parts:
            start, own = time.perf_counter(), time.process_time()
            part(step)
            found[part.__name__][0].append((time.perf_counter() - start) * 1e3)
            found[part.__name__][1].append((time.process_time() - own) * 1e3)
    return found


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
        found = timed(step, arguments.repeat)
        if arguments.profile:
            profile = cProfile.Profile()
            profile.enable()
            for _ in range(5):
                step()
            profile.disable()
    found['step'] = tuple([[sum(ms) for ms in zip(*kinds)] for kinds in zip(*found.values())])
    launches['step'] = sum(launches.values())
    rows = {}
    print(f'{"":10} {"launches":>8} {"ms":>8} {"best":>8} {"process":>8}')
    for name, (clock, own) in found.items():
        rows[name] = row = {
            'launches': launches[name],
            'ms': statistics.median(clock),
            'best_ms': min(clock),
            'process_ms': statistics.median(own),
        }
        print(f'{name:10} {row["launches"]:8} {row["ms"]:8.2f} {row["best_ms"]:8.2f} {row["process_ms"]:8.2f}')
    if arguments.profile:
        pstats.Stats(profile).sort_stats('tottime').print_stats(40)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()
