"""What Chainer 7.8.1 draws for given seeds.

`python tests/core/chainer_values.py`, run where Chainer is installed, writes data/initializers.npz.

The same functions give this package's values to the tests.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / 'data' / 'initializers.npz'
NAMES = [
    *('Normal', 'LeCunNormal', 'GlorotNormal', 'HeNormal'),
    *('Uniform', 'LeCunUniform', 'GlorotUniform', 'HeUniform', 'Orthogonal'),
]
FILTERS = ['UpsamplingDeconvFilter', 'DownsamplingConvFilter']
SHAPES = {name: [(2, 3), (3, 2), (2, 3, 2, 2), (1, 1)] for name in NAMES}
SHAPES |= {name: [(2, 2, 4, 4), (3, 1, 5, 5), (2, 2, 3), (1, 1, 3, 3, 3)] for name in FILTERS}


def key(name, shape, dtype):
    return f'{name} {"x".join(map(str, shape))} {dtype}'


def initializer_values(initializers):
    """{key: array} from `chainer.initializers` or ours."""
    values = {}
    for name, shapes in SHAPES.items():
        for shape in shapes:
            for dtype in 'efd':
                values[key(name, shape, dtype)] = fill(getattr(initializers, name)(), shape, dtype)
    values['HeNormal fan_out'] = fill(initializers.HeNormal(2.5, fan_option='fan_out'), (2, 3), 'd')
    values['Orthogonal scalar'] = np.array([fill(initializers.Orthogonal(), (), 'd', seed) for seed in range(8)])
    return values


def fill(initializer, shape, dtype, seed=7):
    np.random.seed(seed)
    array = np.empty(shape, dtype)
    initializer(array)
    return array


def alias_values(utils):
    """Samples of `WalkerAlias`, for probabilities that are all different."""
    rng = np.random.RandomState(0)
    values = {}
    for n in (1, 2, 7, 30):
        sampler = utils.WalkerAlias(rng.rand(n))
        np.random.seed(n)
        values[f'WalkerAlias {n}'] = sampler.sample((40,))
    return values


if __name__ == '__main__':
    import chainer

    np.savez_compressed(FILE, **initializer_values(chainer.initializers), **alias_values(chainer.utils))
