"""A training that can be interrupted: ``python resumable.py OUT ITERATOR DEVICE HOW WHEN``.

HOW is 'kill' (SIGKILL, in an extension called in the middle of iteration WHEN), 'interrupt' (Ctrl-C) or 'run'.
It prints the digest of the final weights.
"""

import hashlib
import os
import random
import signal
import sys

import numpy

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import Chain, dataset, datasets, iterators, optimizers, training
from chainlite.backends import cuda
from chainlite.training import extensions, triggers


class Augmented(dataset.DatasetMixin):
    """Examples with noise from the global generators, drawn wherever the example is made."""

    def __init__(self):
        r = numpy.random.RandomState(1)
        self.x, self.t = r.rand(70, 8).astype('f'), r.randint(0, 3, 70).astype('i')

    def __len__(self):
        return len(self.x)

    def get_example(self, i):
        return self.x[i] + numpy.random.rand(8).astype('f') * 0.1 + random.random() * 0.1, self.t[i]


class Net(Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.a = L.Linear(8, 16)
            self.norm = L.BatchNormalization(16)
            self.b = L.Linear(16, 3)

    def forward(self, x):
        return self.b(F.dropout(F.relu(self.norm(self.a(x)))))


def make_iterator(kind, seed):
    data = Augmented()
    plain = datasets.TupleDataset(data.x, data.t)
    return {
        'serial': lambda: iterators.SerialIterator(data, 6),
        'own generator': lambda: iterators.SerialIterator(
            data, 6, order_sampler=iterators.ShuffleOrderSampler(numpy.random.RandomState(seed))
        ),
        'thread': lambda: iterators.MultithreadIterator(plain, 6, n_threads=2),
        # Fetches fifteen batches ahead: more than an epoch.
        'process': lambda: iterators.MultiprocessIterator(data, 6, n_processes=2, n_prefetch=15),
    }[kind]()


def main(out, kind, device, how, when):
    resuming = os.path.isdir(out)
    seed = os.getpid() if resuming else 3  # what a resumed run starts with must not count
    chainlite.seed(seed)
    model = L.Classifier(Net())
    optimizer = optimizers.Adam().setup(model)
    optimizer.loss_scaling()
    iterator = make_iterator(kind, seed)
    updater = training.StandardUpdater(iterator, optimizer, device=device)
    stop = triggers.EarlyStoppingTrigger((6, 'iteration'), patience=6, max_trigger=(48, 'iteration'))
    trainer = training.Trainer(updater, stop, out=out)
    validation = iterators.SerialIterator(Augmented(), 20, repeat=False)
    trainer.extend(extensions.Evaluator(validation, model, device=device))
    trainer.extend(extensions.LogReport(trigger=(7, 'iteration')))
    trainer.extend(extensions.snapshot(autoload=True, n_retains=2), trigger=(3, 'iteration'))
    trainer.extend(extensions.ExponentialShift('alpha', 0.9), trigger=(5, 'iteration'))
    trainer.extend(extensions.WarmupShift('beta1', 0.5, 60, 0.9))
    best = triggers.MinValueTrigger('main/loss', (4, 'iteration'))
    trainer.extend(extensions.snapshot_object(model, 'best'), trigger=best)
    # It draws after the snapshot's own priority.
    trainer.extend(lambda trainer: numpy.random.rand(), name='late', trigger=(1, 'iteration'), priority=-500)

    def interrupt(trainer):
        if how == 'kill' and trainer.updater.iteration == when:
            os.kill(os.getpid(), signal.SIGKILL)
        if how == 'interrupt' and trainer.updater.iteration == when:
            raise KeyboardInterrupt

    trainer.extend(interrupt, name='interrupt', trigger=(1, 'iteration'), priority=1000)
    try:
        trainer.run()
    except KeyboardInterrupt:
        return
    digest = hashlib.md5()
    for _, param in sorted(model.namedparams()):
        digest.update(cuda.to_cpu(param.array).tobytes())
    for link in model.links():
        for name in sorted(link._persistent):
            digest.update(numpy.asarray(cuda.to_cpu(getattr(link, name))).tobytes())
    print(digest.hexdigest(), updater.iteration)


if __name__ == '__main__':
    main(*sys.argv[1:5], int(sys.argv[5]))
