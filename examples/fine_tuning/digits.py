"""ResNet-50 for another task: its features, and its weights as a start, for ten scanned digits.

    python examples/fine_tuning/digits.py

First a linear classifier is trained on features that ResNet-50 extracts. Then the whole network is trained, from these
weights on. With `--weights FILE` the published weights are the start; without them random ones, with which features
are worth less.
"""

import argparse
import sys
import time

import numpy as np

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L


class DigitNet(chainer.Chain):
    """ResNet-50 up to its features (n, 2048), and a linear classifier of ten classes on them."""

    def __init__(self, weights):
        super().__init__()
        with self.init_scope():
            self.base = L.ResNet50Layers(pretrained_model=weights)
            self.top = L.Linear(2048, 10)
        self.base.fc6.disable_update()  # the thousand classes of ImageNet are not asked for

    def forward(self, x):
        return self.top(self.base(x, layers=['pool5'])['pool5'])


def get_digits(n_train, n_test, seed):
    """Pictures as uint8 arrays (8, 8), as they come from a scanner, and labels: training and test set."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        sys.exit('scikit-learn is needed for the digits: pip install chainlite[demo]')
    digits = load_digits()
    order = np.random.RandomState(seed).permutation(len(digits.target))
    x, t = (digits.images * 255 / 16).astype(np.uint8)[order], digits.target.astype(np.int32)[order]
    return (x[:n_train], t[:n_train]), (x[-n_test:], t[-n_test:])


def in_batches(function, x, size=100):
    return np.concatenate([function(x[i : i + size]) for i in range(0, len(x), size)])


def train(model, loss_of, optimizer, x, t, epochs, batch):
    """Trains on minibatches; returns the mean loss of the last epoch."""
    for _ in range(epochs):
        order, total = np.random.permutation(len(t)), 0.0
        for i in range(0, len(t), batch):
            chosen = order[i : i + batch]
            loss = loss_of(x[chosen], t[chosen])
            model.cleargrads()
            loss.backward()
            optimizer.update()
            total += float(loss.array) * len(chosen)
    return total / len(t)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', help='trained weights of ResNet50Layers, .npz or .caffemodel (default: random)')
    parser.add_argument('--train', type=int, default=1000, help='number of training digits (default: 1000)')
    parser.add_argument('--test', type=int, default=360, help='number of test digits (default: 360)')
    parser.add_argument('--size', type=int, default=64, help='pixels that digits are enlarged to (default: 64)')
    parser.add_argument('--epoch', '-e', type=int, default=3, help='of fine tuning (default: 3)')
    parser.add_argument('--batchsize', '-b', type=int, default=32)
    parser.add_argument('--alpha', type=float, default=1e-3, help="Adam's step size; less for trained weights (0.001)")
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', '-o', default='digits_resnet50.npz', help='file for the weights')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    device = chainer.get_device(args.device)
    device.use()
    chainer.seed(args.seed)
    if args.weights is None:
        print('no --weights: ResNet-50 starts from random ones')
    (x, t), (x_test, t_test) = get_digits(args.train, args.test, args.seed)
    model = DigitNet(args.weights)
    model.to_device(device)

    begin = time.perf_counter()

    def features(pictures):
        found = model.base.extract(list(pictures), layers=['pool5'], size=(args.size, args.size))['pool5']
        return chainer.backends.cuda.to_cpu(found.array)

    f, f_test = in_batches(features, x), in_batches(features, x_test)
    scale = f.std(0) + 1e-6
    f, f_test = device.send([(f - f.mean(0)) / scale, (f_test - f.mean(0)) / scale])
    print(f'features {f.shape} and {f_test.shape} in {time.perf_counter() - begin:.0f} s')
    linear = L.Linear(2048, 10)
    linear.to_device(device)
    optimizer = chainer.optimizers.Adam(0.001).setup(linear)
    train(linear, lambda x, t: F.softmax_cross_entropy(linear(x), t), optimizer, f, device.send(t), 20, 50)
    found = chainer.backends.cuda.to_cpu(linear(f_test).array.argmax(1))
    print(f'linear classifier on features: test accuracy {np.mean(found == t_test):.4f}')

    def prepared(pictures):
        size = (args.size, args.size)
        return device.send(np.stack([L.model.vision.resnet.prepare(picture, size) for picture in pictures]))

    def predict(pictures):
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            return chainer.backends.cuda.to_cpu(model(prepared(pictures)).array.argmax(1))

    optimizer = chainer.optimizers.Adam(args.alpha).setup(model)
    for epoch in range(args.epoch):
        loss = train(
            model,
            lambda x, t: F.softmax_cross_entropy(model(prepared(x)), device.send(t)),
            optimizer,
            *(x, t, 1, args.batchsize),
        )
        accuracy = np.mean(in_batches(predict, x_test) == t_test)
        seconds = time.perf_counter() - begin
        print(
            f'fine tuning, epoch {epoch + 1}: loss {loss:.3f}, test accuracy {accuracy:.4f}, {seconds:.0f} s',
            flush=True,
        )
    chainer.serializers.save_npz(args.out, model)


if __name__ == '__main__':
    main()
