"""Small operations for many seconds, to be watched by a profiler:

    py-spy record --native --output host_time.svg -- python benchmarks/small_operations.py [--seconds 20]

Each round is what `run.py` times as add, relu, reshape, sum and chain_100, forward and backward on 8 x 8 numbers.
"""

import argparse
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import chainer_cases  # noqa: E402

import chainlite  # noqa: E402

CASES = ['add', 'relu', 'reshape', 'sum', 'chain_100']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=20, help='how long (default: 20)')
    seconds = parser.parse_args().seconds
    steps = [getattr(chainer_cases, f'time_{case}')(chainlite) for case in CASES]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for step in steps:
            step()


if __name__ == '__main__':
    main()
