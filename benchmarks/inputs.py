"""The same numbers for every framework, NumPy and Python: RandomState's streams never change."""

import zlib

import numpy as np


def arrays(*shapes):
    rng = np.random.RandomState(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def batches(*shape, classes=10, number=8):
    """A few different minibatches (x, t) to go round: no step sees the arrays of the one before."""
    rng = np.random.RandomState(1)
    return [
        (rng.standard_normal(shape).astype(np.float32), rng.randint(0, classes, shape[0]).astype(np.int32))
        for _ in range(number)
    ]


def initial_value(path, shape, seed=0):
    """The initial value of the parameter called ``path`` (``/conv1/W``): seeded by its name, scaled by its fan-in."""
    if path.endswith(('/b', '/beta')):
        return np.zeros(shape, np.float32)
    if path.endswith('/gamma'):
        return np.ones(shape, np.float32)
    rng = np.random.RandomState(zlib.crc32(path.encode()) ^ seed)
    return (rng.standard_normal(shape) * np.prod(shape[1:]) ** -0.5).astype(np.float32)
