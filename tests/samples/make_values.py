"""Stores what real Chainer 7.8.1 computes for the samples: outputs, and gradients for fixed output gradients.

python tests/samples/make_values.py            # in an environment with chainer==7.8.1; writes values/FAMILY.npz
"""

import sys
import warnings
from pathlib import Path

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).parents[1])  # not this folder, whose math.py is not Python's

import numpy as np


def run(chainer, sample, dtype, device=None):
    """{'y0': ..., 'gx0': ...} of a sample, computed on a device; the output gradients are a fixed sequence."""
    from samples import sent

    device = device or chainer.get_device('@numpy')
    xs = [chainer.Variable(device.send(a)) for a in sample.arrays(dtype)]
    ys = sent(sample.function, device)(*xs)
    ys = ys if isinstance(ys, (tuple, list)) else (ys,)
    values = {f'y{i}': y.array for i, y in enumerate(ys)}
    if sample.order:
        for y in ys:
            y.grad = device.send(output_gradient(chainer.backends.cuda.to_cpu(y.array)))
        chainer.backward(list(ys))
        values.update({f'gx{i}': x.grad for i, x in enumerate(xs) if x.grad is not None})
    return {key: chainer.backends.cuda.to_cpu(value) for key, value in values.items()}


def output_gradient(y):
    """A fixed array like y with values of both signs."""
    return (np.cos(np.arange(y.size) * 1.7 + 0.3) + 0.2).reshape(y.shape).astype(y.dtype)


def main():
    import chainer

    import samples

    warnings.simplefilter('ignore')

    assert chainer.__version__ == '7.8.1', chainer.__version__
    stored = {}
    for family, sample in samples.load(chainer):
        if sample.chainer:
            for key, value in run(chainer, sample, np.float32).items():
                stored.setdefault(family, {})[f'{sample.name}/{key}'] = value
    for family, values in stored.items():
        path = Path(__file__).parent / 'values' / f'{family}.npz'
        path.parent.mkdir(exist_ok=True)
        np.savez_compressed(path, **values)
        print(family, len(values), 'arrays', path.stat().st_size, 'bytes')


if __name__ == '__main__':
    main()
