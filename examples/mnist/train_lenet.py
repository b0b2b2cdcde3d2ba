"""Train LeNet-5 on scanned digits, MNIST, Fashion-MNIST or CIFAR-10.

    python examples/mnist/train_lenet.py

trains on the 1,797 digits that scikit-learn ships, needs no download and takes seconds. The result folder then holds
the log, its plots, the computational graph and snapshots. Interrupt it and start it again with ``--autoload``: it goes
on from the last snapshot and ends with the very weights that an uninterrupted run ends with.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite import training
from chainlite.training import extensions


class LeNet5(chainer.Chain):
    """LeNet-5 as simplified in Chainer's tutorial on convolutional networks (LeCun et al., 1998); returns logits."""

    def __init__(self, in_channels=1, activation=F.relu):
        super().__init__()
        self.activation = activation
        with self.init_scope():
            self.conv1 = L.Convolution2D(in_channels, 6, 5)
            self.conv2 = L.Convolution2D(6, 16, 5)
            self.conv3 = L.Convolution2D(16, 120, 4)
            self.fc4 = L.Linear(None, 84)
            self.fc5 = L.Linear(84, 10)

    def forward(self, x):
        h = F.max_pooling_2d(self.activation(self.conv1(x)), 2, 2)
        h = F.max_pooling_2d(self.activation(self.conv2(h)), 2, 2)
        h = self.activation(self.conv3(h))
        return self.fc5(self.activation(self.fc4(h)))


def enlarge(images, size):
    """Square images (n, h, h) resized to (n, size, size) by bilinear interpolation, as one product from each side."""
    h = images.shape[1]
    centres = np.clip((np.arange(size) + 0.5) * h / size - 0.5, 0, h - 1)
    weights = np.maximum(0, 1 - abs(centres[:, None] - np.arange(h)))  # (size, h): each row sums to 1
    return weights @ images @ weights.T


def get_digits(seed):
    """1,437 training and 360 test pairs of a float32 image (1, 28, 28) in [0, 1] and its int32 label, split by seed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        sys.exit('scikit-learn is needed for the digits: pip install chainlite[demo]')
    digits = load_digits()
    images = enlarge(digits.images / 16, 28).astype(np.float32)
    pairs = chainer.datasets.TupleDataset(images[:, None], digits.target.astype(np.int32))
    return chainer.datasets.split_dataset_random(pairs, 1437, seed=seed)


def get_dataset(name, seed):
    if name == 'digits':
        return get_digits(seed)
    if name == 'cifar10':
        return chainer.datasets.get_cifar10()
    return {'mnist': chainer.datasets.get_mnist, 'fashion_mnist': chainer.datasets.get_fashion_mnist}[name](ndim=3)


def shift(pair, distance=2):
    """Move an image by up to two pixels in both directions; what comes in is black."""
    x, t = pair
    channels, h, w = x.shape
    canvas = np.zeros((channels, h + 2 * distance, w + 2 * distance), x.dtype)
    canvas[:, distance:-distance, distance:-distance] = x
    dy, dx = np.random.randint(0, 2 * distance + 1, 2)
    return canvas[:, dy : dy + h, dx : dx + w], t


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dataset', default='digits', choices=['digits', 'mnist', 'fashion_mnist', 'cifar10'])
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--epoch', '-e', type=int, default=20, help='number of passes over the data (default: 20)')
    parser.add_argument('--batchsize', '-b', type=int, default=32, help='images in a minibatch (default: 32)')
    parser.add_argument('--activation', default='relu', choices=['relu', 'sigmoid', 'tanh'])
    parser.add_argument('--alpha', type=float, default=0.003, help="Adam's step size (default: 0.003)")
    parser.add_argument('--seed', type=int, default=0, help='seed of everything random (default: 0)')
    parser.add_argument('--out', '-o', default='result', help='folder for the results (default: result)')
    parser.add_argument('--resume', '-r', help='go on from this snapshot')
    parser.add_argument('--autoload', action='store_true', help='go on from the last snapshot in the result folder')
    return parser.parse_args(arguments)


def make_trainer(args):
    device = chainer.get_device(args.device)
    device.use()
    chainer.seed(args.seed)

    train, test = get_dataset(args.dataset, args.seed)
    model = L.Classifier(LeNet5(in_channels=len(train[0][0]), activation=getattr(F, args.activation)))
    model.to_device(device)
    optimizer = chainer.optimizers.Adam(alpha=args.alpha)
    optimizer.setup(model)

    train_iterator = chainer.iterators.SerialIterator(chainer.datasets.TransformDataset(train, shift), args.batchsize)
    test_iterator = chainer.iterators.SerialIterator(test, 500, repeat=False, shuffle=False)
    updater = training.updaters.StandardUpdater(train_iterator, optimizer, device=device)
    trainer = training.Trainer(updater, (args.epoch, 'epoch'), out=args.out)

    # For the last third of the time, a tenth of the step size.
    drop = extensions.MultistepShift('alpha', 0.1, [max(1, round(0.7 * args.epoch))], args.alpha)
    trainer.extend(drop, trigger=(1, 'epoch'))
    trainer.extend(extensions.Evaluator(test_iterator, model, device=device))
    trainer.extend(extensions.DumpGraph('main/loss', filename='graph.dot'))
    trainer.extend(extensions.LogReport())
    if extensions.PlotReport.available():
        for name in ['loss', 'accuracy']:
            entries = [f'main/{name}', f'validation/main/{name}']
            trainer.extend(extensions.PlotReport(entries, 'epoch', filename=f'{name}.png'))
    entries = [f'{part}main/{name}' for name in ['loss', 'accuracy'] for part in ['', 'validation/']]
    trainer.extend(extensions.PrintReport(['epoch', *entries, 'elapsed_time']))
    trainer.extend(extensions.ProgressBar(update_interval=10))
    trainer.extend(extensions.snapshot(filename='snapshot_epoch_{.updater.epoch}', n_retains=2, autoload=args.autoload))
    if args.resume:
        chainer.serializers.load_npz(args.resume, trainer)
    return trainer


def main(arguments=None):
    args = parse(arguments)
    trainer = make_trainer(args)
    try:
        trainer.run()
    except KeyboardInterrupt:
        sys.exit('interrupted; start again with --autoload to go on from the last snapshot')
    model = trainer.updater.get_optimizer('main').target
    chainer.serializers.save_npz(Path(args.out) / 'model.npz', model)
    last = trainer.get_extension('LogReport').log[-1]
    print(f'test accuracy {last["validation/main/accuracy"]:.4f}')


if __name__ == '__main__':
    main()
