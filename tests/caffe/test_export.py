"""Exported models: OpenCV and CaffeFunction compute what the model does."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from caffe.networks import run_opencv
from chainlite import Chain, Sequential
from chainlite.backends import cuda
from chainlite.exporters import caffe
from chainlite.links.caffe import CaffeFunction
from chainlite.links.caffe.caffe_function import caffe_pb
from chainlite.links.model.vision.resnet import BuildingBlock
from chainlite.testing import assert_allclose

rng = np.random.RandomState(0)
np.random.seed(0)


def normal(*shape):
    return rng.randn(*shape).astype('f')


X = normal(2, 4, 7, 8)
CHANNELS = normal(4, 1, 1)


def filled(link):
    """The link, with numbers in what starts as ones and zeros."""
    link(X)
    averages = [getattr(child, f'avg_{what}', None) for child in link.links() for what in ('mean', 'var')]
    for x in (*(p.array for p in link.params()), *averages):
        if x is not None and x.ndim == 1:
            x[...] = rng.uniform(0.5, 2, x.shape)
    return link


def per_channel(x):
    return F.broadcast_to(x.xp.asarray(CHANNELS), x.shape)


class LeNet(Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(None, 6, 3, pad=1)
            self.bn1 = L.BatchNormalization(6)
            self.fc1 = L.Linear(None, 10)
            self.fc2 = L.Linear(10, 5)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.bn1(self.conv1(x))), 2)
        return F.softmax(self.fc2(F.dropout(F.tanh(self.fc1(h)))))


with chainlite.using_config('train', False):
    MODELS = {
        'lenet': filled(LeNet()),
        'sequence': filled(Sequential(L.Convolution2D(4, 3, 1), F.relu, L.Linear(None, 5), F.sigmoid)),
        'residual block': filled(BuildingBlock(2, 4, 3, 8, 2, None, False)),
        'inception': filled(L.Inception(4, 2, 2, 3, 2, 3, 2)),
        'convolution': filled(L.Convolution2D(4, 6, (3, 2), (2, 1), (0, 1))),
        'dilated': L.DilatedConvolution2D(4, 3, 3, 1, 2, 2),
        'groups': L.Convolution2D(4, 6, 3, groups=2, nobias=True),
        'deconvolution': filled(L.Deconvolution2D(4, 3, 4, 2, 1)),
        'linear': filled(L.Linear(None, 5)),
        'batch normalization': filled(L.BatchNormalization(4, eps=1e-2)),
        'batch normalization without factors': filled(L.BatchNormalization(4, use_gamma=False, use_beta=False)),
        'prelu': filled(L.PReLU((4,))),
        'scale': filled(L.Scale(1, (4,), True)),
        'bias': filled(L.Bias(1, (4,))),
        **{
            f'{name} {k} {s} {p}': lambda x, pool=pool, k=k, s=s, p=p: pool(x, k, s, p)
            for name, pool in {
                'max': F.max_pooling_2d,
                'max, whole windows': lambda *a: F.max_pooling_2d(*a, cover_all=False),
                'average': F.average_pooling_2d,
            }.items()
            for k, s, p in [(2, 2, 0), (3, 2, 0), (3, 1, 1)]
        },
        'lrn': F.local_response_normalization,
        'lrn, k = 1': lambda x: F.local_response_normalization(x, 3, 1, 0.1),
        'global average': lambda x: F.average(x, (2, 3)),
        'sum': lambda x: F.sum(x, (2, 3), keepdims=True),
        'relu': F.relu,
        'leaky relu': F.leaky_relu,
        'elu': F.elu,
        'sigmoid': F.sigmoid,
        'tanh': F.tanh,
        'softplus': F.softplus,
        'absolute': abs,
        'exp': F.exp,
        'softmax': F.softmax,
        'softmax axis': lambda x: F.softmax(x, 2),
        'power': lambda x: (3 - 2 * x + 1) ** 2,
        'negative': lambda x: -x,
        'sum of two': lambda x: F.sigmoid(x) + x,
        'sum of three': lambda x: F.add(x, F.relu(x), x),
        'difference': lambda x: F.sigmoid(x) - x,
        'product': lambda x: F.sigmoid(x) * x,
        'maximum': lambda x: F.maximum(F.sigmoid(x), x),
        'per channel': lambda x: x * per_channel(x) - per_channel(x),
        'concat': lambda x: F.concat((x, F.relu(x))),
        'concat axis': lambda x: F.concat((x, F.relu(x)), axis=2),
        'split': lambda x: F.concat(F.split_axis(x, [1, 3], 1)[::-1], axis=1),
        'transpose': lambda x: F.transpose(x, (0, 2, 3, 1)),
        'reshape': lambda x: F.reshape(x, (2, 2, 2, -1)),
        'flatten': lambda x: F.reshape(x, (2, -1)),
        'dropout': lambda x: F.relu(F.dropout(x)),
    }


def export_and_read(model, args, tmp_path, **options):
    caffe.export(model, args, str(tmp_path), **options)
    prototxt, caffemodel = tmp_path / 'chainer_model.prototxt', tmp_path / 'chainer_model.caffemodel'
    return prototxt.read_text(), str(caffemodel)


def on(device, model):
    """A copy of the model, on the device; a function is for all."""
    return model.copy('copy').to_device(device) if isinstance(model, chainlite.Link) else model


@pytest.fixture
def x(device):
    return device.send(X)


@pytest.mark.parametrize('name', MODELS)
def test_an_exported_model_computes_the_same(name, tmp_path, device, x):
    model = on(device, MODELS[name])
    prototxt, caffemodel = export_and_read(model, (chainlite.Variable(x),), tmp_path)
    with chainlite.using_config('train', False):
        expected = cuda.to_cpu(model(chainlite.Variable(x)).array)
        function = CaffeFunction(caffemodel)
        output = function.layers[-1][2][0]
        (y,) = function({'data': X}, [output])
    np.testing.assert_allclose(y.array, expected, rtol=1e-4, atol=1e-5)
    (z,) = run_opencv(prototxt, caffemodel, {'data': X}, [output])
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'name, model',
    {
        'log': lambda x: F.log(x + 20),
        'clip': lambda x: F.clipped_relu(x, 0.5),
        'padded, whole windows': lambda x: F.max_pooling_2d(x, 2, 2, 1, cover_all=False),
        'padded average': lambda x: F.average_pooling_2d(x, 2, 2, 1),
        'one axis': lambda x: F.reshape(x, (-1,)),
    }.items(),
)
def test_caffe_function_reads_what_opencv_does_not(name, model, tmp_path, device, x):
    _, caffemodel = export_and_read(model, (x,), tmp_path)
    function = CaffeFunction(caffemodel).to_device(device)
    (y,) = function({'data': x}, function.layers[-1][2])
    assert_allclose(y.array, model(chainlite.Variable(X)).array, rtol=1e-5, atol=1e-6)


def test_the_batch_may_have_another_size(tmp_path, device, x):
    _, caffemodel = export_and_read(on(device, MODELS['lenet']), (x,), tmp_path)
    function = CaffeFunction(caffemodel).to_device(device)
    more = normal(5, *X.shape[1:])
    with chainlite.using_config('train', False):
        (y,) = function({'data': device.send(more)}, function.layers[-1][2])
        assert_allclose(y.array, MODELS['lenet'](more).array, rtol=1e-4, atol=1e-6)


@pytest.mark.host('names of files')
def test_files_are_named_as_chainer_names_them(tmp_path):
    class Model(Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.conv = L.Convolution2D(4, 2, 3)

        def forward(self, x):
            return F.relu(self.conv(x))

    model = Model()
    caffe.export(model, (X,))
    assert not list(tmp_path.iterdir())
    assert caffe.export(model, [X], str(tmp_path), export_params=False, graph_name='net') is None
    assert [p.name for p in tmp_path.iterdir()] == ['chainer_model.prototxt']
    assert (tmp_path / 'chainer_model.prototxt').read_text().startswith('name: "net"\nlayer {\n  name: "data"\n')
    caffe.export(model, X, str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['chainer_model.caffemodel', 'chainer_model.prototxt']
    net = caffe_pb.NetParameter.FromString((tmp_path / 'chainer_model.caffemodel').read_bytes())
    assert net.name == 'Graph'
    assert [(layer.name, layer.type, *layer.bottom, *layer.top) for layer in net.layer] == [
        ('Convolution2DFunction-0-1', 'Convolution', 'data', 'Convolution2DFunction-0-1'),
        ('ReLU-1-1', 'ReLU', 'Convolution2DFunction-0-1', 'ReLU-1-1'),
    ]
    with pytest.raises(FileNotFoundError):
        caffe.export(model, (X,), str(tmp_path / 'nowhere'))


def test_models_of_several_inputs_and_outputs_are_exported(tmp_path, device, x):
    def model(a, b):
        return {'sum': F.relu(a) + b, 'a': F.sigmoid(a)}

    for args, names in ((x, -x), ['data0', 'data1']), ({'a': x, 'b': -x}, ['a', 'b']):
        _, caffemodel = export_and_read(model, args, tmp_path)
        function = CaffeFunction(caffemodel).to_device(device)
        inputs = dict(zip(names, (x, -x)))
        y, z = function(inputs, ['_ + _-1-1', 'Sigmoid-0-1'])
        assert_allclose(y.array, np.maximum(X, 0) - X, rtol=1e-6)
        assert_allclose(z.array, F.sigmoid(X).array, rtol=1e-6)


def test_what_the_outputs_do_not_take_is_left_out(tmp_path, x):
    def model(x):
        F.cumsum(x)
        return F.relu(x)

    caffe.export(model, (x,), str(tmp_path))


@pytest.mark.parametrize(
    'model, message',
    [
        (F.erf, r'Cannot convert, name=erf-0-1, rank=0, label=erf, inputs=\[.data.\]: no layer does this'),
        (lambda x: F.softplus(x, beta=2), 'beta is 2'),
        (lambda x: F.sum(x, 1), 'a sum is supported over both axes of images'),
        (lambda x: x * x.xp.asarray(normal(*X.shape)), 'one value for each channel'),
        (lambda x: F.concat((x, x.array)), 'a part is constant'),
        (lambda x: F.convolution_2d(x, F.reshape(x, (-1, 4, 1, 1))), 'its parameters are computed from the inputs'),
        (lambda x: F.max_pooling_nd(F.reshape(x, (2, 4, -1)), 2), 'only two-dimensional pooling'),
    ],
)
def test_what_has_no_layer_is_refused_before_files_are_written(model, message, tmp_path, x):
    with pytest.raises(ValueError, match=message):
        caffe.export(model, (x,), str(tmp_path))
    assert not list(tmp_path.iterdir())
