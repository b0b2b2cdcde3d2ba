"""The training behind chainer_7.8.1_trainer.npz; with Chainer itself, ``python chainer_snapshot.py`` writes the file.

Five hidden units, all kinds of extension, stopped in the middle of an epoch.
"""

import io
import os

import numpy


def make_trainer(chainer, out, n_iterations, device=None):
    """Returns the trainer, and the iterator; `chainer` is the library to use."""
    extensions, triggers = chainer.training.extensions, chainer.training.triggers
    numpy.random.seed(0)
    data = chainer.datasets.TupleDataset(
        numpy.random.rand(20, 3).astype('f'), numpy.random.randint(0, 3, 20).astype('i')
    )
    iterator = chainer.iterators.SerialIterator(data, 3)
    model = chainer.links.Classifier(
        chainer.Sequential(chainer.links.Linear(3, 5), chainer.functions.relu, chainer.links.Linear(5, 3))
    )
    optimizer = chainer.optimizers.MomentumSGD(lr=0.1).setup(model)
    updater = chainer.training.StandardUpdater(iterator, optimizer, device=device)
    trainer = chainer.training.Trainer(updater, (n_iterations, 'iteration'), out=out)
    validation = chainer.iterators.SerialIterator(data, 4, repeat=False, shuffle=False)
    trainer.extend(extensions.Evaluator(validation, model, device=device))
    trainer.extend(extensions.LogReport(trigger=(3, 'iteration')))
    trainer.extend(extensions.PrintReport(['epoch', 'main/loss'], out=io.StringIO()))
    trainer.extend(extensions.ExponentialShift('lr', 0.9), trigger=(2, 'iteration'))
    trainer.extend(extensions.WarmupShift('momentum', 0.5, 30, 0.9))
    trainer.extend(extensions.PlotReport(['main/loss'], trigger=(2, 'iteration')))
    trainer.extend(extensions.observe_lr())
    trainer.extend(extensions.DumpGraph('main/loss'))
    trainer.extend(lambda trainer: None, name='once', trigger=triggers.OnceTrigger())
    trainer.extend(lambda trainer: None, name='planned', trigger=triggers.ManualScheduleTrigger([1, 2], 'epoch'))
    best = triggers.MaxValueTrigger('main/accuracy', (2, 'iteration'))
    trainer.extend(extensions.snapshot_object(model, 'best'), trigger=best)
    trainer.extend(extensions.snapshot(), trigger=(4, 'iteration'))
    return trainer, iterator


if __name__ == '__main__':
    import tempfile

    import chainer
    from chainer import training  # NOQA

    folder = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as out:
        trainer, _ = make_trainer(chainer, out, 13)
        trainer.run()
        chainer.serializers.save_npz(os.path.join(folder, 'chainer_7.8.1_trainer.npz'), trainer)
