"""Whole networks equal PyTorch's: same weights, masks and images in; same outputs, gradients and running averages out.

In float64 all agree to 1e-8. In float32 the error, taken from the values in float64, is at most twice the one that
PyTorch makes in float32 in its usual layout, by NumPy's kernels and by oneDNN's. On CuPy all are compared in float64,
small ones in float32.
"""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

import chainlite
import chainlite.links as L
from chainlite.backends import cuda
from chainlite.backends.onednn import _library

torch = pytest.importorskip('torch', reason='PyTorch, to compare with, is not installed')
from equal_to_torch import twins  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / 'examples'


def example(folder):
    """The module examples/<folder>/nets.py."""
    spec = importlib.util.spec_from_file_location(f'{folder}_nets', EXAMPLES / folder / 'nets.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cifar, dcgan, imagenet = map(example, ('cifar', 'dcgan', 'imagenet'))

# Name: (network, its twin from the masks of dropout, shape of the input, seeds for float32). The images are small, and
# enough of them that batch normalization does not see too few values.
NETWORKS = {
    'LeNet-5': (cifar.LeNet5, lambda masks: twins.LeNet5(), (4, 3, 32, 32), 5),
    'two classes': (cifar.TwoClassNet, lambda masks: twins.TwoClassNet(), (4, 3, 32, 32), 5),
    'VGG16': (imagenet.VGG16, lambda masks: twins.VGG16(512, masks), (4, 3, 32, 32), 1),
    'ResNet-20': (lambda: cifar.resnet(20), lambda masks: twins.ResNet(3, True), (4, 3, 16, 16), 5),
    'plain-20': (lambda: cifar.resnet(20, residual=False), lambda masks: twins.ResNet(3, False), (4, 3, 16, 16), 5),
    'ResNet-50': (lambda: L.ResNet50Layers(None), lambda masks: twins.ResNet50Layers(), (6, 3, 48, 48), 1),
    'ResNet-152': (imagenet.ResNet152, lambda masks: twins.ResNet152(), (6, 3, 48, 48), 1),
    'DCGAN, generator': (dcgan.Generator, lambda masks: twins.Generator(), (4, 100, 1, 1), 3),
    'DCGAN, discriminator': (dcgan.Discriminator, lambda masks: twins.Discriminator(), (4, 3, 64, 64), 3),
}
# What the stand-in of a GPU computes in seconds in float32: small networks, the smallest on tensor cores too.
ON_CUPY = [(name, 'cupy') for name in ('LeNet-5', 'two classes')]
ON_CUPY += [(name, 'cupy, no tensor cores') for name in NETWORKS if NETWORKS[name][-1] > 1]
# In the place of a network on CuPy: of its blocks a few, since the stand-in takes a minute for all of them.
SHORTER = {
    'ResNet-152': (
        lambda: imagenet.ResNet152((1, 2, 4, 1)),
        lambda masks: twins.ResNet152((1, 2, 4, 1)),
        *NETWORKS['ResNet-152'][2:],
    )
}
# Biases in front of batch normalization: what it subtracts has no gradient, but for rounding.
VANISHING = {'ResNet-50': {'/conv1/b'}}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Masks(chainlite.FunctionHook):
    """Collects the masks of dropout, in turn."""

    def __init__(self):
        self.masks = []

    def forward_postprocess(self, function, in_data):
        if function.label == 'Dropout':
            self.masks.append(cuda.to_cpu(function.mask))


def scores(link, x):
    return link(x, layers=['fc6'])['fc6'] if isinstance(link, L.ResNet50Layers) else link(x)


class Pair:
    """A network and its twin, with the same random weights, and a random input and gradient of the output.

    The network computes on the device; its twin, and all that they are compared by, is on the CPU.
    """

    def __init__(self, name, device, seed=0):
        make, make_twin, shape, _ = NETWORKS[name] if device.xp is np else (NETWORKS | SHORTER)[name]
        self.device = device
        np.random.seed(seed)
        self.link, self.masks, self.vanishing = make(), [], VANISHING.get(name, set())
        self.module = make_twin(self.masks)
        self.x = np.random.standard_normal(shape).astype(np.float32)
        with chainlite.no_backprop_mode(), chainlite.using_config('train', False):  # gives all parameters their shapes
            y = scores(self.link, self.x).array
        self.gy = np.random.standard_normal(y.shape).astype(np.float32)
        twins.copy_weights(self.link, self.module)

    def to_float64(self):
        for param in self.link.params():
            param.array = param.array.astype(np.float64)
        for child in self.link.links():
            if isinstance(child, L.BatchNormalization):
                child.avg_mean, child.avg_var = child.avg_mean.astype(np.float64), child.avg_var.astype(np.float64)
        self.module.double()
        self.x, self.gy = self.x.astype(np.float64), self.gy.astype(np.float64)
        twins.copy_weights(self.link, self.module)

    def ours(self, kernels='auto'):
        """{name: array} of the output, of all gradients and of the running averages."""
        np.random.seed(1)  # the masks of each run are the same
        self.link.to_device(self.device)
        self.link.cleargrads()
        x = chainlite.Variable(self.device.send(self.x))
        with Masks() as hook, chainlite.using_config('use_ideep', kernels):
            y = scores(self.link, x)
            y.grad = self.device.send(self.gy)
            y.backward()
        self.masks[:] = hook.masks
        found = {'output': y.array, 'input': x.grad}
        found |= {path: param.grad for path, param in self.link.namedparams()}
        assert all(isinstance(array, self.device.xp.ndarray) for array in found.values())
        return {path: cuda.to_cpu(array) for path, array in (found | twins.persistents(self.link)).items()}

    def theirs(self):
        """The same of PyTorch, after :meth:`ours`, under chainlite's names."""
        x = torch.tensor(self.x).requires_grad_()
        self.module.zero_grad()
        y = self.module(x)
        y.backward(torch.tensor(self.gy))
        found = {'output': y.detach(), 'input': x.grad}
        for path, _, tensor in twins.pair(self.link, self.module):
            found[path] = tensor if tensor.grad is None else tensor.grad
        return {name: tensor.numpy().copy() for name, tensor in found.items()}


def distance(x, y):
    """Largest difference of two arrays, relative to the largest element of the second."""
    return np.abs(x - y).max() / np.abs(y).max()


@pytest.mark.parametrize('name', NETWORKS)
def test_float64_agrees_with_pytorch(name, device):
    pair = Pair(name, device)
    pair.to_float64()
    ours, theirs = pair.ours(), pair.theirs()
    for path in theirs.keys() - pair.vanishing:
        assert ours[path].dtype == theirs[path].dtype == np.float64, path
        assert distance(ours[path], theirs[path]) <= 1e-8, path
    for path in pair.vanishing:
        for found in ours, theirs:
            assert np.abs(found[path]).max() <= 1e-10 * np.abs(found[path[:-1] + 'W']).max()


@pytest.mark.parametrize(
    'name, kernels',
    [
        *itertools.product(NETWORKS, ['numpy', 'onednn']),
        *(pytest.param(*pair, marks=pytest.mark.gpu) for pair in ON_CUPY),
    ],
)
def test_float32_is_at_most_twice_as_far_from_float64_as_pytorch(name, kernels):
    """The typical error: the median over the output and the gradients, and over some seeds.

    A relu or a maximum may choose differently in float32. That makes an error of another size, by chance on this or
    on that side, which is why the largest says little.
    """
    if kernels == 'onednn' and _library.library() is None:
        pytest.skip(_library.unavailable_because())
    cpu, ours, theirs = chainlite.get_device('@numpy'), [], []
    for seed in range(1 if 'cupy' in kernels else NETWORKS[name][-1]):
        pair = Pair(name, chainlite.get_device('@cupy:0') if 'cupy' in kernels else cpu, seed)
        with chainlite.using_config('use_cudnn_tensor_core', 'never' if 'no tensor' in kernels else 'auto'):
            a = pair.ours('never' if kernels == 'numpy' else 'always')
        b = pair.theirs()
        pair.link.to_device(cpu)
        pair.device = cpu
        pair.to_float64()
        exact = pair.ours()
        paths = exact.keys() - pair.vanishing - twins.persistents(pair.link).keys()
        ours.append(np.median([distance(a[path], exact[path]) for path in paths]))
        theirs.append(np.median([distance(b[path], exact[path]) for path in paths]))
    assert np.median(ours) <= 2 * np.median(theirs), (ours, theirs)
