"""Train networks of examples/ in chainlite and in PyTorch, step by step on the same batches: how accurate they become.

    python benchmarks/accuracy_networks.py lenet5 --data FOLDER      # of CIFAR-10, or of MNIST for simple_net
    python benchmarks/accuracy_networks.py resnet20 plain20 --data FOLDER --epochs 10 --seeds 3

Both begin with the same weights and see the same shifted and mirrored pictures in the same order. Trained on are those
of CIFAR-10's five batches that the folder holds. Exits with 1 where the mean accuracies are further apart than three
standard errors of their difference, and than a point. Needs PyTorch.
"""

import argparse
import os
import statistics
import sys
import time
from argparse import Namespace
from pathlib import Path

for variable in ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS']:
    os.environ.setdefault(variable, '1')
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), *(str(ROOT / 'examples' / name) for name in ('cifar', 'mnist'))]

import data  # noqa: E402
import nets  # noqa: E402
import numpy as np  # noqa: E402
import plane_or_bird  # noqa: E402
import simple_net  # noqa: E402

import chainlite as chainer  # noqa: E402
import chainlite.functions as F  # noqa: E402

HALF = (0.5, 0.5, 0.5)


def cifar10(folder, *augment, mean=data.MEAN, deviation=data.DEVIATION, only_two=False):
    """Training data with and without augmentation, and test data."""
    train, test = data.load(Namespace(data=folder, synthetic=None))
    if only_two:
        train, test = plane_or_bird.only_two(*train), plane_or_bird.only_two(*test)
    normalize = data.Normalize(mean, deviation)
    return data.dataset(*train, *augment, normalize), data.dataset(*test, normalize)


def mnist(folder):
    train, test = simple_net.get_mnist(folder and Path(folder))
    return chainer.datasets.split_dataset_random(train, 50000, seed=0)[0], test


class Recipe:
    """A network, its twin, data and how it is trained.

    Args:
        net, twin: functions that make the network here and in PyTorch (given the module of twins).
        load: function of the folder.
        batch, epochs: ints.
        optimizer: 'adam' or 'sgd'; sgd has momentum and weight decay, which may be 0.
        rate: step size, or learning rate.
        falls: shares of the time after which the rate falls to a tenth.
    """

    def __init__(self, net, twin, load, batch, epochs, optimizer, rate, momentum=0.0, decay=0.0, falls=()):
        self.net, self.twin, self.load, self.batch, self.epochs = net, twin, load, batch, epochs
        self.optimizer, self.rate, self.momentum, self.decay, self.falls = optimizer, rate, momentum, decay, falls


def residual(with_shortcuts):
    return Recipe(
        lambda: nets.resnet(20, with_shortcuts),
        lambda twins: twins.ResNet(3, with_shortcuts),
        lambda folder: cifar10(folder, data.Augment()),
        *(128, 20, 'sgd', 0.1, 0.9, 1e-4, (0.5, 0.75)),
    )


RECIPES = {
    'lenet5': Recipe(
        nets.LeNet5,
        lambda twins: twins.LeNet5(),
        lambda folder: cifar10(folder, mean=HALF, deviation=HALF),
        *(4, 2, 'adam', 1e-3),
    ),
    'two_classes': Recipe(
        nets.TwoClassNet,
        lambda twins: twins.TwoClassNet(),
        lambda folder: cifar10(folder, mean=HALF, deviation=HALF, only_two=True),
        *(64, 100, 'sgd', 1e-2),
    ),
    'resnet20': residual(True),
    'plain20': residual(False),
    'simple_net': Recipe(simple_net.SimpleNet, lambda twins: twins.SimpleNet(), mnist, 128, 5, 'sgd', 0.01),
}


class InChainlite:
    def __init__(self, recipe, seed):
        np.random.seed(seed)
        self.model = recipe.net()
        if recipe.optimizer == 'adam':
            self.optimizer = chainer.optimizers.Adam(recipe.rate)
        elif recipe.momentum:
            self.optimizer = chainer.optimizers.MomentumSGD(recipe.rate, recipe.momentum)
        else:
            self.optimizer = chainer.optimizers.SGD(recipe.rate)
        self.optimizer.setup(self.model)
        if recipe.decay:
            self.optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(recipe.decay))

    def learn(self, x, t, rate):
        if isinstance(self.optimizer, chainer.optimizers.Adam):
            self.optimizer.alpha = rate
        else:
            self.optimizer.lr = rate
        loss = F.softmax_cross_entropy(self.model(x), t)
        self.model.cleargrads()
        loss.backward()
        self.optimizer.update()

    def predict(self, x):
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            return self.model(x).array.argmax(1)


class InTorch:
    def __init__(self, recipe, link):
        import torch
        from equal_to_torch import twins

        torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
        self.torch, self.model = torch, recipe.twin(twins)
        twins.copy_weights(link, self.model)
        parameters = self.model.parameters()
        if recipe.optimizer == 'adam':
            self.optimizer = torch.optim.Adam(parameters, recipe.rate)
        else:
            self.optimizer = torch.optim.SGD(parameters, recipe.rate, recipe.momentum, weight_decay=recipe.decay)

    def learn(self, x, t, rate):
        self.optimizer.param_groups[0]['lr'] = rate
        loss = self.torch.nn.functional.cross_entropy(
            self.model(self.torch.from_numpy(x)), self.torch.from_numpy(t).long()
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def predict(self, x):
        self.model.eval()
        with self.torch.no_grad():
            found = self.model(self.torch.from_numpy(x)).numpy().argmax(1)
        self.model.train()
        return found


def accuracies(recipe, seed, train, test, epochs):
    here = InChainlite(recipe, seed)
    both = [here, InTorch(recipe, here.model)]
    np.random.seed(seed)
    iterator = chainer.iterators.SerialIterator(train, recipe.batch)
    steps, step = epochs * -(-len(train) // recipe.batch), 0
    while iterator.epoch < epochs:
        x, t = chainer.dataset.concat_examples(iterator.next())
        rate = recipe.rate * 0.1 ** sum(step >= share * steps for share in recipe.falls)
        for net in both:
            net.learn(x, t, rate)
        step += 1
    right = np.zeros(2)
    for minibatch in chainer.iterators.SerialIterator(test, 500, repeat=False, shuffle=False):
        x, t = chainer.dataset.concat_examples(minibatch)
        right += [(net.predict(x) == t).sum() for net in both]
    return right / len(test)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('networks', nargs='+', choices=list(RECIPES))
    parser.add_argument('--data', help='folder of CIFAR-10, or of MNIST (default: download)')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--epochs', type=int, help='instead of 2, 100, 20, 20 and 5')
    parser.add_argument('--only', type=int, help='train and test on so many examples, to try it out')
    args = parser.parse_args()

    apart = False
    for name in args.networks:
        recipe = RECIPES[name]
        train, test = recipe.load(args.data)
        if args.only:
            train, test = (chainer.datasets.SubDataset(part, 0, args.only) for part in (train, test))
        print(f'{name}, {len(train)} examples, {args.epochs or recipe.epochs} epochs\nseed  chainlite  PyTorch')
        found, begin = [], time.perf_counter()
        for seed in range(args.seeds):
            found.append(accuracies(recipe, seed, train, test, args.epochs or recipe.epochs))
            print(f'{seed:4}  {found[-1][0]:9.4f}  {found[-1][1]:7.4f}', flush=True)
        ours, theirs = zip(*found)
        difference = statistics.mean(ours) - statistics.mean(theirs)
        error = np.hypot(*(statistics.stdev(v) if len(v) > 1 else 0 for v in (ours, theirs))) / len(found) ** 0.5
        apart |= abs(difference) > max(3 * error, 0.01)
        print(
            f'mean  {statistics.mean(ours):9.4f}  {statistics.mean(theirs):7.4f}, difference {difference:+.4f}, ',
            end='',
        )
        print(f'its standard error {error:.4f}, {time.perf_counter() - begin:.0f} s')
    return int(apart)


if __name__ == '__main__':
    sys.exit(main())
