"""LeNet-5 on the ten classes of CIFAR-10, with an accuracy for each class.

    python examples/cifar/lenet5.py

Adam on minibatches of 4, which two processes prepare; the running loss is printed every 1,000 of them.
"""

import argparse
import time
from pathlib import Path

import data
import numpy as np
import plots
from nets import LeNet5

import chainlite as chainer
import chainlite.functions as F


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_arguments(parser)
    parser.add_argument('--epoch', '-e', type=int, default=2)
    parser.add_argument('--batchsize', '-b', type=int, default=4)
    parser.add_argument('--alpha', type=float, default=1e-3, help="Adam's step size (default: 0.001)")
    parser.add_argument('--every', type=int, default=1000, help='minibatches between two lines (default: 1000)')
    parser.add_argument('--workers', type=int, default=2, help='processes that prepare pictures (default: 2)')
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', '-o', type=Path, default=Path('result'), help='folder for plots and weights')
    return parser.parse_args(arguments)


def train(model, dataset, args):
    """Trains and prints; returns the running losses, or the mean of all where they are too few for one."""
    optimizer = chainer.optimizers.Adam(args.alpha).setup(model)
    iterator = data.iterate(dataset, args.batchsize, args.workers)
    losses, total, count, begin = [], 0.0, 0, time.perf_counter()
    for minibatch in iterator:
        x, t = chainer.dataset.concat_examples(minibatch, model.device)
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()

        total += float(loss.array)
        count += 1
        if count % args.every == 0:
            seconds = time.perf_counter() - begin
            epoch = iterator.epoch + (not iterator.is_new_epoch)
            print(f'[epoch {epoch}, {count:6} batches, {seconds:5.0f} s] loss: {total / args.every:.3f}')
            losses.append(total / args.every)
            total = 0.0
        if iterator.epoch >= args.epoch:
            break
    iterator.finalize()
    return losses or [total / count]


def print_accuracies(y, t):
    print(f'accuracy on the {len(t)} test pictures: {100 * np.mean(y == t):.1f} %')
    for label, name in enumerate(data.CLASSES):
        of_class = t == label
        if of_class.any():
            print(f'accuracy of {name:>5}: {100 * np.mean(y[of_class] == label):5.1f} % of {of_class.sum()}')


def main(arguments=None):
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    device = chainer.get_device(args.device)
    device.use()
    chainer.seed(args.seed)

    train_data, test_data = data.load(args)
    pictures, labels = train_data[0][:16], [data.CLASSES[t] for t in train_data[1][:16]]
    plots.sample_grid(args.out / 'samples.png', pictures, labels)
    normalize = data.Normalize((0.5,) * 3, (0.5,) * 3)  # to [-1, 1]

    model = LeNet5()
    model.to_device(device)
    losses = train(model, data.dataset(*train_data, normalize), args)
    plots.curves(args.out / 'loss.png', {'training': losses}, f'{args.every} minibatches', 'loss')
    print_accuracies(*data.predict(model, data.dataset(*test_data, normalize)))
    chainer.serializers.save_npz(args.out / 'lenet5.npz', model)


if __name__ == '__main__':  # the processes of the iterator import this file too
    main()
