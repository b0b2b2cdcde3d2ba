"""What batch normalization does to one channel, as two histograms.

    python examples/convolution/batch_normalization.py

Pictures of 100 times standard normal numbers: their first channel before and after.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import chainlite as chainer
import chainlite.links as L


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', '-d', default='-1', help='-1 (NumPy, the default), 0, @cupy:0, @intel64')
    parser.add_argument('--out', '-o', type=Path, default=Path('result'), help='folder for the plot')
    args = parser.parse_args(arguments)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        sys.exit('matplotlib is needed for the plot: pip install chainlite[plot]')

    x = 100 * np.random.RandomState(0).standard_normal((128, 3, 32, 32)).astype(np.float32)
    device = chainer.get_device(args.device)
    device.use()
    y = chainer.backends.cuda.to_cpu(L.BatchNormalization(3).to_device(device)(device.send(x)).array)
    assert y.shape == x.shape
    figure = Figure(figsize=(8, 3), layout='tight')
    for axes, name, values in zip(figure.subplots(1, 2), ('before', 'after'), (x[:, 0].ravel(), y[:, 0].ravel())):
        axes.hist(values, bins=20)
        axes.set_title(f'{name}: mean={values.mean():.4f}, std={values.std():.2f}')
        axes.set(xlabel='value in channel 0', ylabel='count')
        print(f'{name}: mean {values.mean():.4f}, deviation {values.std():.2f}')
    args.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out / 'batch_normalization.png')
    print(f'wrote {args.out / "batch_normalization.png"}')


if __name__ == '__main__':
    main()
