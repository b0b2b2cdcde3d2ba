"""A residual network and its plain twin on CIFAR-10: how much the shortcuts help.

    python examples/cifar/resnet.py --layers 20

Momentum SGD on minibatches of 128 for 64,000 steps, to the end of the epoch; the learning rate .1 falls to a tenth
after 32,000 and again after 48,000. Pictures are shifted and mirrored.
"""

import argparse
import time
from pathlib import Path

import data
import plots
from nets import resnet

import chainlite as chainer
import chainlite.functions as F


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_arguments(parser)
    parser.add_argument('--layers', type=int, default=20, choices=[20, 32, 44, 56, 110])
    parser.add_argument('--nets', nargs='+', default=['resnet', 'cnn'], choices=['resnet', 'cnn'], help='cnn: plain')
    parser.add_argument('--steps', type=int, default=64000)
    parser.add_argument('--batchsize', '-b', type=int, default=128)
    parser.add_argument('--lr', type=float, default=0.1)
    parser.add_argument('--workers', type=int, default=4, help='processes that prepare pictures (default: 4)')
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', '-o', type=Path, default=Path('result'), help='folder for the plot and the weights')
    return parser.parse_args(arguments)


def train(model, dataset, args):
    """Trains and prints a line for each epoch; returns the sum of the losses of each."""
    optimizer = chainer.optimizers.MomentumSGD(args.lr, momentum=0.9).setup(model)
    optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(1e-4))
    iterator = data.iterate(dataset, args.batchsize, args.workers)
    losses, step, begin = [], 0, time.perf_counter()
    while step < args.steps:
        total, correct, count = 0.0, 0, 0
        while not count or not iterator.is_new_epoch:
            step += 1
            falls = sum(step > args.steps * share for share in (0.5, 0.75))
            optimizer.lr = args.lr * 0.1**falls
            x, t = chainer.dataset.concat_examples(iterator.next(), model.device)
            y = model(x)
            loss = F.softmax_cross_entropy(y, t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            total += float(loss.array)
            correct += int((y.array.argmax(1) == t).sum())
            count += len(t)
        losses.append(total)
        print(
            f'epoch {len(losses)} ({step}/{args.steps}) ({time.perf_counter() - begin:.1f} s) '
            f'loss: {total:.2f} accuracy: {100 * correct / count:.2f} %',
            flush=True,
        )
    iterator.finalize()
    return losses


def main(arguments=None):
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    device = chainer.get_device(args.device)
    device.use()
    train_data, test_data = data.load(args)
    train_data = data.dataset(*train_data, data.Augment(), data.Normalize())
    test_data = data.dataset(*test_data, data.Normalize())

    losses, accuracies = {}, {}
    for name in args.nets:
        chainer.seed(args.seed)
        model = resnet(args.layers, residual=name == 'resnet')
        model.to_device(device)
        print(f'{name} of {args.layers} layers, {model.count_params()} parameters')
        losses[name] = train(model, train_data, args)
        accuracies[name] = data.accuracy(model, test_data)
        chainer.serializers.save_npz(args.out / f'{name}{args.layers}.npz', model)
    plots.curves(args.out / 'loss.png', losses, 'epoch', 'sum of the losses')
    for name, value in accuracies.items():
        print(f'test accuracy of {name}: {100 * value:.2f} %')


if __name__ == '__main__':  # the processes of the iterator import this file too
    main()
