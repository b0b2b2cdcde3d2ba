"""Host time and launches of training steps on a GPU, as usual and as CUDA graphs: `python benchmarks/graph_replay.py`.

Runs on the stand-in of tests/cuda_on_cpu with its driver off: nothing is computed, what remains is what Python, CuPy
and the calls into the driver take. A launched graph counts as one launch, copies are not counted. Steps take turns;
medians.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault('CHAINLITE_CUDA_ON_CPU', '1')
os.environ.setdefault('CUDA_ON_CPU_POOL', '1')  # as on a GPU
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'benchmarks')]

import cuda_on_cpu  # noqa: E402

cuda_on_cpu.install()

import chainer_cases  # noqa: E402
import numpy as np  # noqa: E402

import chainlite  # noqa: E402
import chainlite.links as L  # noqa: E402
from chainlite.training.updaters import StandardUpdater  # noqa: E402

CHAINS = chainer_cases.chains(chainlite)


class OneBatch(chainlite.dataset.Iterator):
    """The same examples again and again."""

    epoch, epoch_detail, previous_epoch_detail, is_new_epoch = 0, 0.0, 0.0, False

    def __next__(self):
        return None


class Case:
    """An updater of a model, on a batch that is on the GPU already."""

    def __init__(self, make, shape, graph):
        net = make()
        self.model = L.Classifier(net)
        self.model.to_device('@cupy:0')
        optimizer = chainlite.optimizers.MomentumSGD(0.01).setup(self.model)
        optimizer.add_hook(chainlite.optimizer_hooks.WeightDecay(1e-4))
        xp = self.model.xp
        batch = xp.zeros(shape, 'f'), xp.zeros(shape[0], 'i')
        self.updater = StandardUpdater(OneBatch(), optimizer, lambda examples, device: batch, graph=graph)
        self.reporter = chainlite.Reporter()
        self.reporter.add_observer('main', self.model)

    def __call__(self):
        with self.reporter, self.reporter.scope({}):
            self.updater.update()


class ResNet50(L.ResNet50Layers):
    def __init__(self):
        super().__init__(pretrained_model=None)

    def forward(self, x):
        return super().forward(x, layers=['fc6'])['fc6']


CASES = {
    'MLP, batch 100': (CHAINS['mlp'], (100, 784)),
    'LeNet-5, batch 64': (CHAINS['lenet5'], (64, 1, 28, 28)),
    'ResNet-20, batch 128': (CHAINS['resnet20'], (128, 3, 32, 32)),
    'ResNet-50, batch 32': (ResNet50, (32, 3, 224, 224)),
}


def measure(make, shape, repeat):
    """{'eager' or 'graph': {'launches', 'ms'}} of a step."""
    steps = {'eager': Case(make, shape, False), 'graph': Case(make, shape, True)}
    found, seconds = {}, {name: [] for name in steps}
    for name, step in steps.items():
        for _ in range(4):
            step()
        cuda_on_cpu.take_counts()
        step()
        found[name] = {'launches': sum(cuda_on_cpu.take_counts().values())}
    assert steps['graph'].updater._graphed_steps._graphs
    for _ in range(repeat):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    for name in steps:
        found[name]['ms'] = statistics.median(seconds[name]) * 1e3
    found['eager / graph'] = statistics.median([a / b for a, b in zip(seconds['eager'], seconds['graph'])])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeat', type=int, default=30)
    parser.add_argument('--only', default='', help='cases whose names contain this')
    parser.add_argument('--json', type=Path, help='also write the figures here')
    arguments = parser.parse_args()
    np.random.seed(0)
    rows = {}
    print('| step | launches | host, ms | launches, graph | host, graph, ms | host / host, graph |')
    print('|---|---|---|---|---|---|')
    with cuda_on_cpu.null_driver():
        for name, (make, shape) in CASES.items():
            if arguments.only.lower() in name.lower():
                row = rows[name] = measure(make, shape, arguments.repeat)
                eager, graph = row['eager'], row['graph']
                print(
                    f'| {name} | {eager["launches"]} | {eager["ms"]:.2f} | {graph["launches"]} | {graph["ms"]:.2f} '
                    f'| {row["eager / graph"]:.1f} |'
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
