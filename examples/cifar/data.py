"""CIFAR-10 for the programs of this folder: where the pictures come from, and what is done to them."""

import io
import lzma
import pickle
from pathlib import Path

import numpy as np

import chainlite as chainer
from chainlite.datasets import TransformDataset, TupleDataset

CLASSES = ('plane', 'car', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # of the training pictures, by colour
BATCHES = (*(f'data_batch_{i}' for i in range(1, 6)), 'test_batch')


def add_arguments(parser):
    parser.add_argument('--data', help='folder with data_batch_1 ... and test_batch, also as .xz (default: download)')
    parser.add_argument('--synthetic', type=int, help='so many made-up pictures instead, to try the program out')


def load(args):
    """Training and test data, two pairs of pictures (n, 3, 32, 32) uint8 and labels (n,) int32."""
    if args.synthetic:
        print(f'{args.synthetic} made-up pictures in the place of CIFAR-10: what follows says nothing about it')
        return make_up(args.synthetic, 0), make_up(args.synthetic // 2, 1)
    if args.data:
        return read_folder(Path(args.data))
    parts = chainer.datasets.get_cifar10(scale=255)
    return [tuple(map(np.stack, zip(*part))) for part in parts]


def read_folder(folder):
    """Those of the five batches of training pictures that the folder holds, and the test pictures."""
    files = {name: path for name in BATCHES for path in (folder / name, folder / f'{name}.xz') if path.exists()}
    if 'test_batch' not in files or len(files) < 2:
        raise SystemExit(
            f'{folder} must hold test_batch and data_batch_1 (or others of the five), as they are or as .xz'
        )
    test = read_batch(files.pop('test_batch'))
    train = tuple(map(np.concatenate, zip(*map(read_batch, files.values()))))
    print(f'{len(train[1])} training and {len(test[1])} test pictures from {folder}')
    return train, test


def read_batch(path):
    content = lzma.open(path).read() if path.suffix == '.xz' else path.read_bytes()
    try:
        batch = ArrayUnpickler(io.BytesIO(content), encoding='latin1').load()
        return batch['data'].reshape(-1, 3, 32, 32), np.array(batch['labels'], np.int32)
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError) as e:
        raise SystemExit(f'{path} is no batch of CIFAR-10: {e}')


class ArrayUnpickler(pickle.Unpickler):
    """Loads dictionaries, lists and NumPy arrays. Other pickles could run any code, and are refused."""

    KNOWN = {'_reconstruct': np.empty(0).__reduce__()[0], 'ndarray': np.ndarray, 'dtype': np.dtype}

    def find_class(self, module, name):
        if module.split('.')[0] != 'numpy' or name not in self.KNOWN:
            raise pickle.UnpicklingError(f'it refers to {module}.{name}')
        return self.KNOWN[name]


def make_up(n, seed):
    """Waves, whose direction and colour tell the class, under noise."""
    rng = np.random.RandomState(seed)
    t = rng.randint(0, len(CLASSES), n).astype(np.int32)
    angle = t[:, None, None] * np.pi / len(CLASSES)
    y, x = np.mgrid[:32, :32]
    waves = np.sin((np.cos(angle) * x + np.sin(angle) * y) * 0.6 + rng.uniform(0, 6, (n, 1, 1)))
    colours = np.random.RandomState(0).uniform(0.3, 1, (len(CLASSES), 3, 1, 1))[t]
    pictures = 128 + 70 * colours * waves[:, None] + rng.normal(0, 20, (n, 3, 32, 32))
    return pictures.clip(0, 255).astype(np.uint8), t


# ---- transforms: classes, not closures, so that the processes of an iterator can be given them


class Normalize:
    """A pair of a uint8 picture and its label to one of a float32 picture, less a mean and divided by a deviation."""

    def __init__(self, mean=MEAN, deviation=DEVIATION):
        self.mean = 255 * np.array(mean, np.float32).reshape(3, 1, 1)
        self.scale = 1 / (255 * np.array(deviation, np.float32).reshape(3, 1, 1))

    def __call__(self, pair):
        x, t = pair
        return (x - self.mean) * self.scale, t


class Augment:
    """Cuts a picture of the same size out of one with a border of zeros, and mirrors it every other time."""

    def __init__(self, pad=4):
        self.pad = pad

    def __call__(self, pair):
        x, t = pair
        p, (_, h, w) = self.pad, x.shape
        canvas = np.zeros((len(x), h + 2 * p, w + 2 * p), x.dtype)
        canvas[:, p : p + h, p : p + w] = x
        top, left = np.random.randint(0, 2 * p + 1, 2)
        x = canvas[:, top : top + h, left : left + w]
        return (x[:, :, ::-1] if np.random.randint(2) else x), t


class Chained:
    """Transforms one after the other."""

    def __init__(self, *transforms):
        self.transforms = transforms

    def __call__(self, pair):
        for transform in self.transforms:
            pair = transform(pair)
        return pair


def dataset(x, t, *transforms):
    return TransformDataset(TupleDataset(x, t), Chained(*transforms))


def iterate(data, batch, workers=0, **kwargs):
    """An iterator over minibatches, whose examples so many processes prepare."""
    if workers:
        return chainer.iterators.MultiprocessIterator(data, batch, n_processes=workers, **kwargs)
    return chainer.iterators.SerialIterator(data, batch, **kwargs)


def predict(model, data, batch=500):
    """(predicted classes, labels) of a dataset, in test mode."""
    ys, ts = [], []
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        for minibatch in iterate(data, batch, repeat=False, shuffle=False):
            x, t = chainer.dataset.concat_examples(minibatch, model.device)
            ys.append(chainer.backends.cuda.to_cpu(model(x).array.argmax(1)))
            ts.append(chainer.backends.cuda.to_cpu(t))
    return np.concatenate(ys), np.concatenate(ts)


def accuracy(model, data):
    y, t = predict(model, data)
    return np.mean(y == t)
