"""Feed augmented CIFAR-sized images to a training loop, by workers, in chainlite and in PyTorch: images per second.

Both take the same dataset (random crop with a padding of 4, random flip, normalization, in NumPy), batches of 128 and
the same number of workers, and hand over arrays of a whole batch. One epoch of each is measured in turn, after a first
one that starts the workers: ``python benchmarks/loading.py [--help]``.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

for variable in ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS']:
    os.environ.setdefault(variable, '1')
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402

import chainlite as chainer  # noqa: E402

MEAN = np.array([0.4914, 0.4822, 0.4465], 'f').reshape(3, 1, 1)
STD = np.array([0.2023, 0.1994, 0.2010], 'f').reshape(3, 1, 1)


class Augmented:
    """Random images with labels, augmented when they are taken."""

    def __init__(self, size):
        self.images = np.random.RandomState(0).randint(0, 256, (size, 3, 32, 32), 'uint8')

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        padded = np.pad(self.images[i], ((0, 0), (4, 4), (4, 4)))
        top, left, flip = np.random.randint(0, 9), np.random.randint(0, 9), np.random.randint(0, 2)
        image = padded[:, top : top + 32, left : left + 32]
        image = image[:, :, ::-1] if flip else image
        return (image.astype('f') / 255 - MEAN) / STD, np.int32(i % 10)


def in_chainlite(dataset, batch_size, iterator):
    while True:
        count = 0
        while count < len(dataset):
            x, t = chainer.dataset.concat_examples(next(iterator))
            count += len(x)
        yield count


def in_torch(dataset, batch_size, workers, method):
    import torch

    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context=method,
    )
    while True:
        yield sum(len(x) for x, t in loader)


def feeds(arguments, method):
    dataset = Augmented(arguments.images)
    batch, workers = arguments.batch, arguments.workers
    processes = chainer.iterators.MultiprocessIterator(
        dataset, batch, n_processes=workers, n_prefetch=2 * workers
    )  # as far ahead as DataLoader
    yield 'MultiprocessIterator', in_chainlite(dataset, batch, processes), processes.finalize
    threads = chainer.iterators.MultithreadIterator(dataset, batch, n_threads=workers)
    yield 'MultithreadIterator', in_chainlite(dataset, batch, threads), threads.finalize
    try:
        import torch
    except ImportError:
        print('no row for PyTorch: pip install torch==2.13.0', file=sys.stderr)
        return
    yield f'DataLoader of PyTorch {torch.__version__}', in_torch(dataset, batch, workers, method), lambda: None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=10000, help='images in an epoch (default: 10000)')
    parser.add_argument('--batch', type=int, default=128, help='images in a batch (default: 128)')
    parser.add_argument('--workers', type=int, default=4, help='processes or threads (default: 4)')
    parser.add_argument('--repeat', type=int, default=7, help='epochs measured of each (default: 7)')
    parser.add_argument('--methods', nargs='*', default=['fork', 'spawn'], help='how processes are started')
    arguments = parser.parse_args()
    warnings.simplefilter('error')
    print(f'{os.cpu_count()} cores, {arguments.workers} workers, batches of {arguments.batch}')
    for method in arguments.methods:
        multiprocessing.set_start_method(method, force=True)
        rates = {}
        epochs = list(feeds(arguments, method))
        for _ in range(arguments.repeat + 1):  # the first one starts the workers
            for name, epoch, _finish in epochs:
                begin = time.perf_counter()
                images = next(epoch)
                rates.setdefault(name, []).append(images / (time.perf_counter() - begin))
        for *_, finish in epochs:
            finish()
        ours = rates['MultiprocessIterator'][1:]
        for name, values in rates.items():
            ratio = statistics.median(a / b for a, b in zip(values[1:], ours))
            print(f'{method:6} {name:30} {statistics.median(values[1:]):8.0f} images/s  {ratio:.2f} of the first')


if __name__ == '__main__':
    main()
