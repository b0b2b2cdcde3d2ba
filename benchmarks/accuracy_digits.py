"""Train the LeNet-5 example on the digits over ten seeds: median at least .98, none under .96, each under a minute."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def train(seed, out):
    begin = time.perf_counter()
    command = [sys.executable, ROOT / 'examples' / 'mnist' / 'train_lenet.py', '--seed', str(seed), '--out', out]
    environment = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', **os.environ, 'PYTHONPATH': str(ROOT)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    accuracy = json.loads((Path(out) / 'log').read_text())[-1]['validation/main/accuracy']
    return accuracy, time.perf_counter() - begin


def main():
    results = []
    for seed in range(10):
        with tempfile.TemporaryDirectory() as out:
            results.append(train(seed, out))
        print(f'seed {seed}: {results[-1][0]:.4f} in {results[-1][1]:.1f} s', flush=True)
    accuracies, seconds = zip(*results)
    print(f'median {statistics.median(accuracies):.4f}, lowest {min(accuracies):.4f}, longest {max(seconds):.1f} s')
    return 0 if statistics.median(accuracies) >= 0.98 and min(accuracies) >= 0.96 and max(seconds) < 60 else 1


if __name__ == '__main__':
    sys.exit(main())
