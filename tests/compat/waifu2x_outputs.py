"""Outputs of waifu2x-chainer's networks with their trained weights: waifu2x_outputs.py CHECKOUT WEIGHTS OUT.npz

A program written for Chainer; test_public_code.py runs it under ``python -m chainlite`` and compares with
data/waifu2x.npz, which the same program wrote under Chainer 7.8.1.
"""

import os
import sys

import chainer
import numpy as np

NETWORKS = {
    'VGG7': 'vgg7_anime_style_noise1_rgb.npz',
    'UpConv7': 'upconv7_anime_style_scale_rgb.npz',
    'UpResNet10': 'upresnet10_anime_style_noise1_scale_rgb.npz',
}


def main(checkout, weights, out):
    sys.path.insert(0, checkout)
    from lib import srcnn

    x = np.random.RandomState(0).uniform(0, 1, (1, 3, 44, 44)).astype(np.float32)
    outputs = {}
    for name, filename in NETWORKS.items():
        model = getattr(srcnn, name)(3)
        chainer.serializers.load_npz(os.path.join(weights, filename), model)
        with chainer.no_backprop_mode(), chainer.using_config('train', False):
            outputs[name] = model(x).array
    np.savez_compressed(out, **outputs)


if __name__ == '__main__':
    main(*sys.argv[1:])
