"""The networks of examples/ are exported and give the same outputs in ONNX Runtime."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import chainlite
import chainlite.links as L
from chainlite.backends import cuda
from chainlite.links.model.vision import vgg

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
from onnx_export.runtime import run  # noqa: E402

from chainlite.onnx_chainer import export  # noqa: E402
from chainlite.onnx_chainer.onnx_helper import cleanse_param_name  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / 'examples'


def example(folder):
    spec = importlib.util.spec_from_file_location(f'{folder}_nets', EXAMPLES / folder / 'nets.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cifar, dcgan, imagenet = map(example, ('cifar', 'dcgan', 'imagenet'))


class ResNet50(chainlite.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.net = L.ResNet50Layers(pretrained_model=None)

    def forward(self, x):
        return self.net(x, layers=['prob'])['prob']


NETWORKS = {
    'LeNet-5': (cifar.LeNet5, (2, 3, 32, 32)),
    'two classes': (cifar.TwoClassNet, (2, 3, 32, 32)),
    'VGG16': (imagenet.VGG16, (1, 3, 32, 32)),
    'ResNet-20': (lambda: cifar.resnet(20), (2, 3, 32, 32)),
    'plain-20': (lambda: cifar.resnet(20, residual=False), (2, 3, 32, 32)),
    'ResNet-50': (ResNet50, (1, 3, 64, 64)),
    'ResNet-152': (imagenet.ResNet152, (1, 3, 64, 64)),
    'DCGAN, generator': (dcgan.Generator, (2, 100, 1, 1)),
    'DCGAN, discriminator': (dcgan.Discriminator, (2, 3, 64, 64)),
}


def settle(model, x):
    """Fills the running averages, and damps the residual branches: before any training, a deep network blows up each
    rounding so much that no two programs agree."""
    for link in model.links():
        if isinstance(link, L.BatchNormalization):
            link.decay = 0.1
            if link.name == 'bn3':
                link.gamma.array *= 0.2
    with chainlite.no_backprop_mode():
        for _ in range(2):
            model(x)


@pytest.fixture
def no_tensor_cores():
    """The stand-in of a GPU takes minutes for them; what is exported does not depend on them."""
    with chainlite.using_config('use_cudnn_tensor_core', 'never'):
        yield


@pytest.mark.usefixtures('no_tensor_cores')
@pytest.mark.parametrize('name', NETWORKS)
def test_networks_give_the_same_outputs(name, device):
    make, shape = NETWORKS[name]
    np.random.seed(0)
    model, x = make(), np.random.standard_normal(shape).astype('f')
    settle(model, np.random.standard_normal((4, *shape[1:])).astype('f'))
    model.to_device(device)
    # Large networks, and on CuPy, in one opset: between opsets differ functions, which are tested one by one.
    opsets = [9, 13, 17, 21] if device.xp is np and model.count_params() < 1e7 else [21]
    for opset in opsets:
        exported, _, outputs = export(model, device.send(x), opset_version=opset, return_named_inout=True)
        (y,), (expected,) = run(exported, {'Input_0': x}), [y.array for y in outputs.values()]
        assert isinstance(expected, device.xp.ndarray)
        expected = cuda.to_cpu(expected)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
        names = {t.name for t in exported.graph.initializer}
        assert {cleanse_param_name(path) for path, _ in model.namedparams()} <= names


class Of(chainlite.Chain):
    """One output of a published network."""

    def __init__(self, net, layer):
        super().__init__()
        self.layer = layer
        with self.init_scope():
            self.net = net

    def forward(self, x):
        return self.net(x, layers=[self.layer])[self.layer]


PUBLISHED = {
    'VGG16': (lambda: Of(L.VGG16Layers(None), 'prob'), 224),
    'VGG19': (lambda: Of(L.VGG19Layers(None), 'fc7'), 224),
    'GoogLeNet': (lambda: Of(L.GoogLeNet(None), 'prob'), 224),
    'GoogLeNet, auxiliary': (lambda: Of(L.GoogLeNet(None), 'loss1_fc2'), 224),
    'ResNet-50, features': (lambda: Of(L.ResNet50Layers(None, downsample_fb=True), 'pool5'), 32),
}


@pytest.mark.usefixtures('no_tensor_cores')
@pytest.mark.parametrize('name', PUBLISHED)
def test_published_networks_give_the_same_outputs(name, device, monkeypatch):
    """The widths of VGG are smaller here. The opsets take turns: between them differ functions."""
    monkeypatch.setattr(vgg, '_CHANNELS', (4, 6, 8, 10, 12))
    monkeypatch.setattr(vgg, '_HIDDEN', 16)
    make, size = PUBLISHED[name]
    np.random.seed(0)
    model, x = make(), np.random.standard_normal((1, 3, size, size)).astype('f')
    settle(model, np.random.standard_normal((2, 3, size, size)).astype('f'))
    model.to_device(device)
    for opset in [9, 13, 17, 21] if 'VGG' in name else [[9, 13, 17, 21][len(name) % 4]]:
        exported, _, outputs = export(model, device.send(x), opset_version=opset, return_named_inout=True)
        (y,), (expected,) = run(exported, {'Input_0': x}), [cuda.to_cpu(y.array) for y in outputs.values()]
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_graph_takes_batches_of_any_size(device):
    model = cifar.LeNet5().to_device(device)
    x = np.random.RandomState(0).standard_normal((5, 3, 32, 32)).astype('f')
    exported = export(model, device.send(x[:2]), input_shapes=('batch', 3, 32, 32))
    assert exported.graph.input[0].type.tensor_type.shape.dim[0].dim_param == 'batch'
    expected = cuda.to_cpu(model(device.send(x)).array)
    np.testing.assert_allclose(run(exported, {'Input_0': x})[0], expected, rtol=1e-5, atol=1e-5)
