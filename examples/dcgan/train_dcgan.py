"""Generate small pictures: DCGAN, a generator and a discriminator that learn from one another.

    python examples/dcgan/train_dcgan.py

Trained on CIFAR-10, enlarged to 64 x 64 pixels. After each epoch a grid of generated pictures is written.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from nets import Discriminator, Generator

import chainlite as chainer
import chainlite.functions as F
from chainlite import training
from chainlite.training import extensions

sys.path.append(str(Path(__file__).resolve().parents[1] / 'cifar'))
import data  # noqa: E402
import plots  # noqa: E402


class Enlarge:
    """A pair of a uint8 picture (3, 32, 32) and its label to a float32 picture (3, 64, 64) in [-1, 1]."""

    def __call__(self, pair):
        return pair[0].repeat(2, 1).repeat(2, 2).astype(np.float32) / 127.5 - 1


class DCGANUpdater(training.updaters.StandardUpdater):
    """One step of both: the discriminator learns to tell real from generated, the generator to pass for real."""

    def __init__(self, iterator, generator, discriminator, n_z, **kwargs):
        self.generator, self.discriminator, self.n_z = generator, discriminator, n_z
        super().__init__(iterator, **kwargs)

    def update_core(self):
        real = self.converter(self.get_iterator('main').next(), self.device)
        z = self.device.send(np.random.standard_normal((len(real), self.n_z, 1, 1)).astype(np.float32))
        generated = self.generator(z)
        score_of_real, score = self.discriminator(real), self.discriminator(generated)

        # -log sigmoid(score) = softplus(-score)
        loss_g = F.average(F.softplus(-score))
        loss_d = F.average(F.softplus(-score_of_real)) + F.average(F.softplus(score))
        for model, loss in (self.generator, loss_g), (self.discriminator, loss_d):
            model.cleargrads()
            loss.backward()
            self.get_optimizer(model.name).update()
            chainer.report({'loss': loss}, model)
            generated.unchain_backward()  # the discriminator's loss ends at the pictures


def write_pictures(trainer):
    """Pictures of the same noise in each epoch."""
    updater = trainer.updater
    z = np.random.RandomState(0).standard_normal((32, updater.n_z, 1, 1)).astype(np.float32)
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        x = chainer.backends.cuda.to_cpu(updater.generator(updater.device.send(z)).array)
    pictures = ((x + 1) * 127.5).astype(np.uint8)
    plots.sample_grid(Path(trainer.out) / f'generated_{updater.epoch:03}.png', pictures)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_arguments(parser)
    parser.add_argument('--epoch', '-e', type=int, default=25)
    parser.add_argument('--batchsize', '-b', type=int, default=128)
    parser.add_argument('--n-z', type=int, default=100, help='size of the noise (default: 100)')
    parser.add_argument('--features', type=int, default=64, help='channels at 32 x 32 pixels (default: 64)')
    parser.add_argument('--alpha', type=float, default=2e-4, help="Adam's step size (default: 0.0002)")
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', '-o', default='result', help='folder for pictures, log and weights')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    device = chainer.get_device(args.device)
    device.use()
    chainer.seed(args.seed)

    (x, t), _ = data.load(args)
    iterator = chainer.iterators.SerialIterator(data.dataset(x, t, Enlarge()), args.batchsize)
    generator, discriminator = Generator(args.n_z, args.features), Discriminator(args.features)
    optimizers = {}
    for name, model in ('generator', generator), ('discriminator', discriminator):
        model.name = name
        model.to_device(device)
        optimizers[name] = chainer.optimizers.Adam(args.alpha, beta1=0.5).setup(model)

    updater = DCGANUpdater(iterator, generator, discriminator, args.n_z, optimizer=optimizers, device=device)
    trainer = training.Trainer(updater, (args.epoch, 'epoch'), out=args.out)
    entries = ['generator/loss', 'discriminator/loss']
    trainer.extend(extensions.LogReport())
    trainer.extend(extensions.PrintReport(['epoch', 'iteration', *entries, 'elapsed_time']))
    if extensions.PlotReport.available():
        trainer.extend(extensions.PlotReport(entries, 'epoch', filename='loss.png'))
    trainer.extend(write_pictures, trigger=(1, 'epoch'))
    trainer.run()
    for name, optimizer in optimizers.items():
        chainer.serializers.save_npz(Path(args.out) / f'{name}.npz', optimizer.target)


if __name__ == '__main__':
    main()
