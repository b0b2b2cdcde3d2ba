"""Samples of every differentiable function: what the checks in test_ops.py go over.

Each module has a function `samples(chainer)` that returns a list of Sample. It is given the package, so that the
same table also runs on Chainer
itself: `make_values.py` stores what Chainer 7.8.1 computes, and the tests compare with that.
"""

import importlib
import types
import zlib

import numpy as np

FAMILIES = 'activation array connection evaluation loss math noise normalization pooling rnn'.split()


class Sample:
    """A call of a function.

    Args:
        name: unique; the random inputs follow from it.
        function: callable of Variables, gives a Variable or a tuple of them.
        *inputs: callables that make a float64 or integer array of a NumPy Generator.
        order: highest order of derivative to check (0: not differentiable).
        chainer: whether Chainer 7.8.1 computes the same (False where it cannot or is wrong).
        empty: whether the function takes a batch of size 0 (first axis of all inputs that have `batch` as length).
        tolerance: factor on the tolerances of the comparisons between dtypes.
    """

    def __init__(self, name, function, *inputs, order=2, chainer=True, empty=False, tolerance=1):
        self.name, self.function, self.inputs, self.order = name, function, inputs, order
        self.chainer, self.empty, self.tolerance = chainer, empty, tolerance

    def __repr__(self):
        return self.name

    @property
    def random(self):
        """Whether the function draws from the random numbers of the device: the same ones each time."""
        return getattr(self.function, 'random', False)

    def arrays(self, dtype=np.float64):
        """The input arrays; float ones in the given dtype."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        arrays = [make(rng) for make in self.inputs]
        return [a.astype(dtype) if a.dtype.kind == 'f' else a for a in arrays]


def normal(*shape):
    """Standard normal, but not within 0.05 of zero, where many functions have a kink."""

    def make(rng):
        x = rng.standard_normal(shape)
        return x + np.where(x < 0, -0.05, 0.05)

    return make


def uniform(low, high, *shape):
    return lambda rng: rng.uniform(low, high, shape)


def distinct(*shape):
    """Values at least 0.1 apart, in random order: which is largest survives rounding and small steps."""

    def make(rng):
        n = int(np.prod(shape))
        return rng.permutation(n).reshape(shape) * (0.1 if n <= 200 else 20 / n) - 0.05 * min(n, 200)

    return make


def labels(n_classes, *shape):
    return lambda rng: rng.integers(0, n_classes, shape).astype(np.int32)


def given(array):
    return lambda rng: np.array(array)


def sent(x, device):
    """Sends arrays to a device, also those in lists, tuples and dictionaries and those that a function encloses."""
    if device.xp is np:
        return x
    if isinstance(x, np.ndarray):
        return device.send(x)
    if isinstance(x, (list, tuple)):
        return type(x)(sent(part, device) for part in x)
    if isinstance(x, dict):
        return {key: sent(value, device) for key, value in x.items()}
    if isinstance(x, types.FunctionType) and x.__closure__ and not x.__module__.startswith('chainlite'):
        cells = tuple(types.CellType(sent(cell.cell_contents, device)) for cell in x.__closure__)
        moved = types.FunctionType(x.__code__, x.__globals__, x.__name__, sent(x.__defaults__, device), cells)
        moved.__kwdefaults__ = x.__kwdefaults__
        return moved
    return x


def load(chainer, families=FAMILIES):
    found = []
    for family in families:
        try:
            module = importlib.import_module(f'{__name__}.{family}')
        except ModuleNotFoundError as e:
            if e.name != f'{__name__}.{family}':
                raise
            continue
        found += [(family, sample) for sample in module.samples(chainer)]
    return found
