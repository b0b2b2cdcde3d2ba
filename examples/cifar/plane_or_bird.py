"""Planes or birds: a small net for two of CIFAR-10's classes, with a training loop of its own.

    python examples/cifar/plane_or_bird.py

SGD on minibatches of 64, 100 epochs. Then both sets are validated, and the weights are saved and loaded.
"""

import argparse
import datetime
from pathlib import Path

import data
import numpy as np
import plots
from nets import TwoClassNet

import chainlite as chainer
import chainlite.functions as F

LABELS = {0: 0, 2: 1}  # CIFAR-10's label -> ours


def only_two(x, t):
    """The pictures of the two classes, with their labels here."""
    chosen = np.isin(t, list(LABELS))
    return x[chosen], np.array([LABELS[label] for label in t[chosen]], np.int32)


def training_loop(n_epochs, optimizer, model, loss_of, batches):
    """Trains; `batches()` gives the minibatches (x, t) of an epoch. Returns each epoch's mean loss."""
    losses = []
    for epoch in range(1, n_epochs + 1):
        total, count = 0.0, 0
        for x, t in batches():
            loss = loss_of(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            total += float(loss.array)
            count += 1
        losses.append(total / count)
        if epoch == 1 or epoch % 10 == 0 or epoch == n_epochs:
            print(f'{datetime.datetime.now()} epoch {epoch}, training loss {losses[-1]:.4f}', flush=True)
    return losses


def validate(model, **datasets):
    """Prints and returns the accuracy on each dataset."""
    found = {name: data.accuracy(model, dataset) for name, dataset in datasets.items()}
    for name, value in found.items():
        print(f'accuracy {name}: {value:.2f}')
    return found


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_arguments(parser)
    parser.add_argument('--epoch', '-e', type=int, default=100)
    parser.add_argument('--batchsize', '-b', type=int, default=64)
    parser.add_argument('--lr', type=float, default=1e-2)
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', '-o', type=Path, default=Path('result'), help='folder for the plot and the weights')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    device = chainer.get_device(args.device)
    device.use()
    chainer.seed(args.seed)

    normalize = data.Normalize((0.5,) * 3, (0.5,) * 3)  # to [-1, 1]
    train, test = (data.dataset(*only_two(*part), normalize) for part in data.load(args))
    print(f'{len(train)} training and {len(test)} test pictures of planes and birds')

    model = TwoClassNet()
    model.to_device(device)
    sizes = [getattr(model[link], name).size for link in ('conv1', 'conv2', 'fc1', 'fc2') for name in ('W', 'b')]
    print(f'{sum(sizes)} parameters: {sizes}')
    optimizer = chainer.optimizers.SGD(args.lr).setup(model)

    def batches():
        for minibatch in data.iterate(train, args.batchsize, repeat=False):
            yield chainer.dataset.concat_examples(minibatch, device)

    losses = training_loop(args.epoch, optimizer, model, F.softmax_cross_entropy, batches)
    plots.curves(args.out / 'loss.png', {'training': losses}, 'epoch', 'loss')
    found = validate(model, train=train, test=test)

    path = args.out / 'plane_or_bird.npz'
    chainer.serializers.save_npz(path, model)
    loaded = TwoClassNet()
    chainer.serializers.load_npz(path, loaded)
    loaded.to_device(device)
    assert data.accuracy(loaded, test) == found['test']
    print(f'saved to {path}, and loaded: the accuracy is the same')


if __name__ == '__main__':
    main()
