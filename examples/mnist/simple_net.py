"""A simple convolutional net on MNIST, with a validation set split off the training set.

    python examples/mnist/simple_net.py                    # scanned digits, no download
    python examples/mnist/simple_net.py --dataset mnist    # 50,000 digits to train, 10,000 to validate, 10,000 to test

Two convolutions of 7 x 7 with batch normalization, and a linear layer; SGD of rate .01, minibatches of 128, 20 epochs.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
from train_lenet import get_digits

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite import training
from chainlite.training import extensions


class SimpleNet(chainer.Chain):
    """28 x 28 pixels to 32 maps of 22 x 22, to 64 of 16 x 16, to the scores of ten classes."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv1, self.bn1 = L.Convolution2D(1, 32, 7), L.BatchNormalization(32)
            self.conv2, self.bn2 = L.Convolution2D(32, 64, 7), L.BatchNormalization(64)
            self.fc = L.Linear(64 * 16 * 16, 10)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        return self.fc(h)


def read_idx(path):
    """The array of uint8 in a file in MNIST's format, compressed by gzip."""
    content = gzip.decompress(path.read_bytes())
    ndim = content[3]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * ndim).reshape(np.frombuffer(content, '>i4', ndim, 4))


def get_mnist(folder):
    """Training and test set, from the four .gz files in a folder, or downloaded."""
    if folder is None:
        return chainer.datasets.get_mnist(ndim=3)
    found = []
    for part in 'train', 't10k':
        x = read_idx(folder / f'{part}-images-idx3-ubyte.gz')[:, None] / np.float32(255)
        t = read_idx(folder / f'{part}-labels-idx1-ubyte.gz').astype(np.int32)
        found.append(chainer.datasets.TupleDataset(x, t))
    return found


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dataset', default='digits', choices=['digits', 'mnist'])
    parser.add_argument('--data', type=Path, help='folder with the four .gz files of MNIST, instead of a download')
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--epoch', '-e', type=int, default=20)
    parser.add_argument('--batchsize', '-b', type=int, default=128)
    parser.add_argument('--lr', type=float, default=0.01)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', '-o', default='result', help='folder for the log, its plots and the weights')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    device = chainer.get_device(args.device)
    device.use()
    chainer.seed(args.seed)

    train, test = get_mnist(args.data) if args.data or args.dataset == 'mnist' else get_digits(args.seed)
    train, validation = chainer.datasets.split_dataset_random(train, len(train) * 5 // 6, seed=args.seed)
    print(f'{len(train)} digits to train, {len(validation)} to validate, {len(test)} to test')
    train_iterator = chainer.iterators.SerialIterator(train, args.batchsize)
    validation_iterator, test_iterator = (
        chainer.iterators.SerialIterator(part, args.batchsize, repeat=False, shuffle=False)
        for part in (validation, test)
    )

    model = L.Classifier(SimpleNet())
    model.to_device(device)
    optimizer = chainer.optimizers.SGD(args.lr).setup(model)
    updater = training.updaters.StandardUpdater(train_iterator, optimizer, device=device)
    trainer = training.Trainer(updater, (args.epoch, 'epoch'), out=args.out)
    trainer.extend(extensions.Evaluator(validation_iterator, model, device=device))
    trainer.extend(extensions.LogReport())
    entries = [f'{part}main/{name}' for name in ('loss', 'accuracy') for part in ('', 'validation/')]
    trainer.extend(extensions.PrintReport(['epoch', *entries, 'elapsed_time']))
    if extensions.PlotReport.available():
        trainer.extend(extensions.PlotReport(entries[:2], 'epoch', filename='loss.png'))
        trainer.extend(extensions.PlotReport(entries[2:], 'epoch', filename='accuracy.png'))
    trainer.run()

    found = extensions.Evaluator(test_iterator, model, device=device)()
    print(f'test accuracy {float(found["main/accuracy"]):.4f}')
    chainer.serializers.save_npz(Path(args.out) / 'simple_net.npz', model.predictor)


if __name__ == '__main__':
    main()
