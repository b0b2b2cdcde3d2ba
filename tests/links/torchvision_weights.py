"""State dicts of torchvision's networks, of numbers that follow from their names, and what torchvision computes.

Run with PyTorch and torchvision, this module writes the values that the tests compare with:

    python tests/links/torchvision_weights.py
"""

import json
import zlib
from pathlib import Path

import numpy as np

VALUES = Path(__file__).parent / 'data' / 'torchvision.npz'
RESNETS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
VGGS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
IMAGE = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
IMAGE_OF_VGG = np.random.RandomState(1).randint(0, 256, (224, 224, 3)).astype(np.uint8)


def resnet_shapes(n_layers):
    """{name: shape} of ResNet-50, 101 or 152."""
    shapes = {}

    def convolution(name, bn, n_out, n_in, k):
        shapes[f'{name}.weight'] = (n_out, n_in, k, k)
        shapes.update({f'{bn}.{what}': (n_out,) for what in ('weight', 'bias', 'running_mean', 'running_var')})

    convolution('conv1', 'bn1', 64, 3, 7)
    n_in = 64
    for stage, (count, width) in enumerate(zip(RESNETS[n_layers], (64, 128, 256, 512)), 1):
        for i in range(count):
            block = f'layer{stage}.{i}'
            convolution(f'{block}.conv1', f'{block}.bn1', width, n_in, 1)
            convolution(f'{block}.conv2', f'{block}.bn2', width, width, 3)
            convolution(f'{block}.conv3', f'{block}.bn3', 4 * width, width, 1)
            if i == 0:
                convolution(f'{block}.downsample.0', f'{block}.downsample.1', 4 * width, n_in, 1)
            n_in = 4 * width
    return shapes | {'fc.weight': (1000, 2048), 'fc.bias': (1000,)}


def vgg_shapes(n_layers, widths=(64, 128, 256, 512, 512), hidden=4096):
    """{name: shape} of VGG-16 or 19."""
    shapes, number, n_in = {}, 0, 3
    for count, width in zip(VGGS[n_layers], widths):
        for _ in range(count):
            shapes[f'features.{number}.weight'], shapes[f'features.{number}.bias'] = (width, n_in, 3, 3), (width,)
            number, n_in = number + 2, width
        number += 1
    for number, shape in (0, (hidden, n_in * 49)), (3, (hidden, hidden)), (6, (1000, hidden)):
        shapes[f'classifier.{number}.weight'], shapes[f'classifier.{number}.bias'] = shape, shape[:1]
    return shapes


def numbers(name, shape):
    """An array such that values neither vanish nor grow on their way through many layers."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith('running_var'):
        return rng.uniform(0.5, 1.5, shape).astype('f')
    if len(shape) == 1:  # the last normalization of a block is added to what comes in
        scale = 0.2 if name.split('.')[-2] in ('bn3', '1') else 1
        return (rng.uniform(0.5, 1.5, shape) * scale if name.endswith('weight') else rng.randn(*shape) * 0.1).astype(
            'f'
        )
    return (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype('f')


def state(shapes):
    return {name: numbers(name, shape) for name, shape in shapes.items()}


def write_safetensors(path, arrays):
    header, start = {'__metadata__': {'format': 'pt'}}, 0
    for name, a in arrays.items():
        header[name] = {'dtype': 'F32', 'shape': a.shape, 'data_offsets': (start, start + a.nbytes)}
        start += a.nbytes
    text = json.dumps(header).encode()
    with open(path, 'wb') as f:
        f.write(len(text).to_bytes(8, 'little') + text)
        for a in arrays.values():
            f.write(a.tobytes())
    return str(path)


def small_vgg(n_layers):
    """Widths that let the whole network run in a moment."""
    return vgg_shapes(n_layers, (4, 6, 8, 10, 12), 16)


def main():
    import torch

    library = torch.library.Library('torchvision', 'FRAGMENT')  # a build for another device lacks these
    for name in ('nms', 'qnms'):
        try:
            library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        except RuntimeError:
            pass
    import torchvision
    from torchvision.models.vgg import VGG, make_layers

    def compute(network, shapes, image):
        missing = network.load_state_dict({k: torch.from_numpy(v) for k, v in state(shapes).items()}, strict=False)
        assert not missing.unexpected_keys
        assert all(key.endswith('num_batches_tracked') for key in missing.missing_keys), missing
        x = torch.from_numpy(image.transpose(2, 0, 1).copy()).float() / 255
        x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
            :, None, None
        ]
        with torch.no_grad():
            return network.eval()(x[None])[0].numpy()

    values = {}
    for n_layers in RESNETS:
        network = getattr(torchvision.models, f'resnet{n_layers}')(weights=None)
        values[f'resnet{n_layers}'] = compute(network, resnet_shapes(n_layers), IMAGE)
    for n_layers, counts in VGGS.items():
        widths = [w for count, width in zip(counts, (4, 6, 8, 10, 12)) for w in [*[width] * count, 'M']]
        network = VGG(make_layers(widths), init_weights=False)
        network.classifier[0] = torch.nn.Linear(12 * 49, 16)
        network.classifier[3] = torch.nn.Linear(16, 16)
        network.classifier[6] = torch.nn.Linear(16, 1000)
        values[f'vgg{n_layers}'] = compute(network, small_vgg(n_layers), IMAGE_OF_VGG)
    np.savez_compressed(VALUES, torchvision=torchvision.__version__, **values)
    print({name: (value.std(), value[:3]) for name, value in values.items()})


if __name__ == '__main__':
    main()
