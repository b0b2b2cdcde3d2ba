"""Train LeNet-5 on MNIST in chainlite and in PyTorch, step by step on the same batches: the accuracies must agree.

Same net (relu, max pooling), same initial weights, Adam, images shifted by up to a pixel, 5 epochs; the step size
falls to a tenth for the last third. Exits with 1 if the mean accuracies are more than 0.2 points apart or chainlite's
is under .99. Needs MNIST as ``chainlite.datasets.get_mnist`` finds it, and PyTorch.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

for variable in ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS']:
    os.environ.setdefault(variable, '1')
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402

import chainlite as chainer  # noqa: E402


class InChainlite:
    def __init__(self, seed, alpha):
        import chainer_cases

        self.model = chainer.links.Classifier(chainer_cases.make_model(chainer, 'lenet5', seed))
        self.optimizer = chainer.optimizers.Adam(alpha)
        self.optimizer.setup(self.model)

    def learn(self, x, t, alpha):
        self.optimizer.alpha = alpha
        self.optimizer.update(self.model, x, t)

    def predict(self, x):
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            return self.model.predictor(x).array.argmax(1)


class InTorch:
    def __init__(self, seed, alpha):
        import torch
        import torch_cases

        torch.set_num_threads(1)
        self.torch = torch
        self.model = torch_cases.make_model(torch, 'lenet5', seed)
        self.optimizer = torch.optim.Adam(self.model.parameters(), alpha)

    def learn(self, x, t, alpha):
        self.optimizer.param_groups[0]['lr'] = alpha
        loss = self.torch.nn.functional.cross_entropy(
            self.model(self.torch.from_numpy(x)), self.torch.from_numpy(t).long()
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def predict(self, x):
        with self.torch.no_grad():
            return self.model(self.torch.from_numpy(x)).numpy().argmax(1)


def shifted(x, rng, distance=1):
    """Each image of a batch (n, 1, h, w) moved by up to ``distance`` pixels; what comes in is black."""
    n, _, h, w = x.shape
    padded = np.pad(x[:, 0], ((0, 0), (distance, distance), (distance, distance)))
    dy, dx = rng.randint(0, 2 * distance + 1, (2, n, 1, 1))
    return padded[np.arange(n)[:, None, None], dy + np.arange(h)[:, None], dx + np.arange(w)][:, None]


def accuracies(seed, train, test, epochs, batch, alpha):
    rng = np.random.RandomState(seed)
    nets = [InChainlite(seed, alpha), InTorch(seed, alpha)]
    x, t = train
    steps = epochs * (len(x) // batch)
    for step in range(steps):
        if step % (len(x) // batch) == 0:
            order = rng.permutation(len(x))
        chosen = order[step % (len(x) // batch) * batch :][:batch]
        images, labels = shifted(x[chosen], rng), t[chosen]
        for net in nets:
            net.learn(images, labels, alpha if step < 2 * steps / 3 else alpha / 10)
    x, t = test
    return [np.mean(np.concatenate([net.predict(x[i : i + 500]) for i in range(0, len(x), 500)]) == t) for net in nets]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--epochs', type=int, default=5)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--alpha', type=float, default=0.003)
    args = parser.parse_args()
    train, test = (part[:] for part in chainer.datasets.get_mnist(ndim=3))
    train, test = [tuple(map(np.stack, zip(*part))) for part in (train, test)]

    print('seed  chainlite  PyTorch')
    results = []
    for seed in range(args.seeds):
        results.append(accuracies(seed, train, test, args.epochs, args.batch, args.alpha))
        print(f'{seed:4}  {results[-1][0]:9.4f}  {results[-1][1]:7.4f}', flush=True)
    ours, theirs = map(statistics.mean, zip(*results))
    print(f'mean  {ours:9.4f}  {theirs:7.4f}')
    return 0 if abs(ours - theirs) <= 0.002 and ours >= 0.99 else 1


if __name__ == '__main__':
    sys.exit(main())
