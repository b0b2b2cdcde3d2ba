"""CaffeFunction as a link: what is run, files of old, copies, what is refused."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from google.protobuf import text_format

import chainlite
import chainlite.functions as F
import chainlite.links as L
from caffe.networks import blob, network, save
from chainlite import serializers
from chainlite.backends import cuda
from chainlite.links.caffe import CaffeFunction
from chainlite.links.caffe.caffe_function import caffe_pb
from chainlite.testing import assert_allclose

rng = np.random.RandomState(0)
W, b = rng.randn(4, 3, 2, 2).astype('f'), rng.randn(4).astype('f')
W2 = rng.randn(2, 4).astype('f')
X = rng.randn(2, 3, 2, 2).astype('f')
NET = """
layer { name: "data" type: "Data" top: "data" top: "label" }
layer { name: "conv/1" type: "Convolution" bottom: "data" top: "c" convolution_param { kernel_size: 2 } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "split" type: "Split" bottom: "c" top: "c_0" top: "c_1" }
layer { name: "ip" type: "InnerProduct" bottom: "c_0" top: "ip" inner_product_param { bias_term: false } }
layer { name: "side" type: "Power" bottom: "c_1" top: "side" power_param { scale: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
WEIGHTS = {'conv/1': [W, b], 'ip': [W2]}
RELU = np.maximum(np.einsum('ockl,nckl->no', W, X) + b, 0)

reads = pytest.mark.host('files are read on the host')


@pytest.fixture
def path(tmp_path):
    return save(network(NET, WEIGHTS), tmp_path / 'net.caffemodel')


@pytest.fixture
def function(path, device):
    return CaffeFunction(path).to_device(device)


@pytest.fixture
def x(device):
    return device.send(X)


def test_layers_with_parameters_are_children(function, device):
    assert [name for name, _, _ in function.layers] == ['conv/1', 'relu', 'ip', 'side', 'loss']
    assert function.layers[0] == ('conv/1', ['data'], ['c'])
    assert set(function.forwards) == {'conv/1', 'relu', 'ip', 'side', 'loss'}
    assert function.split_map == {'c_0': 'c', 'c_1': 'c'}
    assert isinstance(function['conv/1'], L.Convolution2D) and isinstance(function.ip, L.Linear)
    assert sorted(name for name, _ in function.namedparams()) == ['/conv/1/W', '/conv/1/b', '/ip/W']
    assert all(p.dtype == np.float32 and isinstance(p.array, device.xp.ndarray) for p in function.params())
    p = function.ip.W
    p.array[...] += 1  # it can be written to
    assert_allclose(p.array, W2 + 1, rtol=1e-6)


def test_blobs_are_computed_by_name(function, device, x):
    assert isinstance(function({'data': x}, ['ip']), tuple)
    c, ip, side, loss = function({'data': x, 'label': device.send(np.int32([0, 1]))}, ['c', 'ip', 'side', 'loss'])
    assert_allclose(c.array[:, :, 0, 0], RELU, rtol=1e-5)
    assert_allclose(ip.array, RELU @ W2.T, rtol=1e-4)
    assert_allclose(side.array[:, :, 0, 0], RELU * 2, rtol=1e-5)
    assert loss.shape == ()
    loss.backward()
    assert function['conv/1'].W.grad.any()
    given = chainlite.Variable(x)
    assert function(inputs={'data': given}, outputs=['data'])[0] is given


def test_only_what_the_outputs_take_is_run(function, device, x):
    run = []
    for name, forward in function.forwards.items():
        function.forwards[name] = lambda *xs, name=name, forward=forward: run.append(name) or forward(*xs)
    function({'data': x}, ['side'])
    assert run == ['conv/1', 'relu', 'side']
    run.clear()
    function({'c_0': device.send(RELU[:, :, None, None])}, ['ip'])
    assert run == ['ip']


def test_disabled_layers_are_left_out(function, x):
    (c,) = function({'data': x}, ['c'], disable=['relu'])
    assert (c.array < 0).any()
    with pytest.raises(KeyError, match="'ip' can not be computed without 'c', which is neither an input nor"):
        function({'data': x}, ['ip'], disable=('conv/1',))


def test_what_can_not_be_computed_is_explained(function, x):
    with pytest.raises(KeyError, match="'nothing' can not be computed, which is neither an input nor"):
        function({'data': x}, ['nothing'])
    with pytest.raises(KeyError, match="'loss' can not be computed without 'label'"):
        function({'data': x}, ['loss'])
    with pytest.raises(KeyError, match="'ip' can not be computed without 'data'"):
        function({}, ['ip'])
    with pytest.raises(ValueError, match='train argument is not supported anymore. Use chainer.using_config'):
        function({'data': x}, ['ip'], train=False)
    with pytest.raises(TypeError, match="unexpected keyword argument.*'foo'"):
        function({'data': x}, ['ip'], foo=1)


def test_copies_have_links_of_their_own(function, path, tmp_path, device, x):
    for other in (function.copy('copy'), pickle.loads(pickle.dumps(function))):
        other.ip.W.array[...] = 1
        assert_allclose(other({'data': x}, ['ip'])[0].array[:, 0], RELU.sum(1), rtol=1e-5)
    assert_allclose(function({'data': x}, ['ip'])[0].array, RELU @ W2.T, rtol=1e-4)
    serializers.save_npz(tmp_path / 'net.npz', function)
    with np.load(tmp_path / 'net.npz') as saved:
        assert sorted(saved) == ['conv/1/W', 'conv/1/b', 'ip/W']
    again = CaffeFunction(path).to_device(device)
    again.cleargrads()
    again.ip.W.array[...] = 0
    serializers.load_npz(tmp_path / 'net.npz', again)
    assert_allclose(again.ip.W.array, W2, rtol=0, atol=0)


def test_it_moves_to_a_device(path, device):
    function = CaffeFunction(path)
    assert all(isinstance(p.array, np.ndarray) for p in function.params())
    for to in device, chainlite.get_device('@numpy'):
        function.to_device(to)
        (y,) = function({'data': to.send(X)}, ['ip'])
        assert isinstance(y.array, to.xp.ndarray)
        np.testing.assert_allclose(cuda.to_cpu(y.array), RELU @ W2.T, rtol=1e-4)


def test_layers_of_the_old_format_are_run(tmp_path, device, x):
    """With numbers for types, and blobs of four sizes."""
    net = text_format.Parse(
        """
        layers { name: "conv" type: CONVOLUTION bottom: "x" top: "c" convolution_param { kernel_size: 2 } }
        layers { name: "relu" type: RELU bottom: "c" top: "c" }
        layers { name: "tanh" type: TANH bottom: "c" top: "t" }
        layers { name: "log" type: ABSVAL bottom: "t" top: "a" }
        layers { name: "ip" type: INNER_PRODUCT bottom: "c" top: "ip" inner_product_param { bias_term: false } }
        layers { name: "flat" type: FLATTEN bottom: "a" top: "f" }
        """,
        caffe_pb.NetParameter(),
    )
    for i, arrays in (0, (W, b)), (4, (W2,)):
        for a in arrays:
            sizes = dict(zip(('num', 'channels', 'height', 'width'), (1,) * (4 - a.ndim) + a.shape))
            net.layers[i].blobs.add(data=a.ravel().tolist(), **sizes)
    function = CaffeFunction(save(net, tmp_path / 'old.caffemodel')).to_device(device)
    ip, flat = function({'x': x}, ['ip', 'f'])
    assert_allclose(ip.array, RELU @ W2.T, rtol=1e-4)
    assert_allclose(flat.array, np.tanh(RELU), rtol=1e-5)


@reads
def test_values_may_be_doubles_or_written_one_by_one(tmp_path):
    net = network(
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { bias_term: false } }'
    )
    proto = net.layer[0].blobs.add(double_data=W2.ravel().tolist())
    proto.shape.dim.extend(W2.shape)
    np.testing.assert_array_equal(CaffeFunction(save(net, tmp_path / 'double')).ip.W.array, W2)
    del net.layer[0].blobs[:]
    shape = b'\x3a\x04\x0a\x02\x02\x04'  # shape { dim: 2 dim: 4 }
    singly = b''.join(b'\x2d' + value.tobytes() for value in W2.ravel())  # field 5, of 32 bits, again and again
    content = shape + singly
    whole = net.layer[0].SerializeToString() + bytes([0x3A, len(content)]) + content
    file = bytes([0xA2, 0x06, len(whole)]) + whole
    np.testing.assert_array_equal(CaffeFunction(save(file, tmp_path / 'single')).ip.W.array, W2)


def test_unknown_layers_are_named_and_left_out(tmp_path, device, x):
    text = NET.replace('type: "Power"', 'type: "Detection"')
    path = save(network(text, WEIGHTS), tmp_path / 'net.caffemodel')
    with pytest.warns(UserWarning) as caught:
        function = CaffeFunction(path).to_device(device)
    assert [str(w.message) for w in caught] == [
        'Skip the layer "side", since CaffeFunction does not support Detection layer '
        '(layer 6 of 7, "side" of type Detection)'
    ]
    assert_allclose(function({'data': x}, ['ip'])[0].array, RELU @ W2.T, rtol=1e-4)
    with pytest.raises(KeyError, match='not supported: layer 6 of 7, "side" of type Detection'):
        function({'data': x}, ['side'])


def refused(text, tmp_path, weights=()):
    path = save(
        network(f'layer {{ name: "l" bottom: "x" top: "y" {text} }}', {'l': weights}), tmp_path / 'bad.caffemodel'
    )
    with pytest.raises(ValueError) as caught:
        CaffeFunction(path)
    assert isinstance(caught.value, RuntimeError)  # as in Chainer
    assert f'{path}: layer 1 of 1, "l" of type ' in str(caught.value)
    return str(caught.value)


@reads
@pytest.mark.parametrize(
    'text, weights, message',
    [
        ('type: "Pooling" pooling_param { pool: STOCHASTIC }', [], 'Stochastic pooling is not supported'),
        ('type: "Pooling" pooling_param { kernel_size: 0 }', [], 'kernel_size is 0, it should be between 1 and 4096'),
        ('type: "Softmax" softmax_param { axis: 0 }', [], 'Softmax along non-channel axis is not supported'),
        (
            'type: "InnerProduct" inner_product_param { axis: 0 }',
            [],
            'Non-default axis in InnerProduct is not supported',
        ),
        ('type: "InnerProduct"', [np.zeros((1, 2, 3, 4, 5))], '5-dimensional array is not supported'),
        ('type: "InnerProduct"', [], 'it needs 1 arrays of parameters, the file holds 0'),
        (
            'type: "InnerProduct"',
            [W2, np.zeros(3)],
            r'the bias should be an array of shape \(2,\), but there are 3 values',
        ),
        (
            'type: "InnerProduct" inner_product_param { num_output: 3 }',
            [W2],
            'num_output is 3, but the matrix has 2 rows',
        ),
        ('type: "Convolution" convolution_param { kernel_size: 3 }', [W, b], r'shape \(4, 3, 3, 3\), but there are 48'),
        ('type: "Convolution" convolution_param { kernel_size: 2 group: 3 }', [W, b], '4 filters do not make 3 groups'),
        ('type: "Convolution" convolution_param { kernel_size: 2 pad: 4000000000 }', [W, b], 'pad is 4000000000'),
        (
            'type: "LRN" lrn_param { local_size: 4 norm_region: WITHIN_CHANNEL }',
            [],
            'within a channel it should be odd',
        ),
        ('type: "BatchNorm"', [b, W2[0, :2], [1]], 'there are 4 means and 2 variances'),
        ('type: "Slice" slice_param { slice_point: 3 }', [], r'1 slices can not be cut at \[3\]'),
    ],
)
def test_what_can_not_be_run_is_refused(text, weights, message, tmp_path):
    assert re.search(message, refused(text, tmp_path, weights))


@reads
@pytest.mark.parametrize('name', ['forward', 'layers', '__class__', 'name'])
def test_names_of_attributes_are_refused(name, tmp_path):
    path = save(network(NET.replace('"ip"', f'"{name}"'), {'conv/1': [W, b], name: [W2]}), tmp_path / 'net.caffemodel')
    with pytest.raises(ValueError, match='its name is that of an attribute of links'):
        CaffeFunction(path)


@reads
def test_two_layers_with_parameters_have_two_names(tmp_path):
    text = 'layer { name: "p" type: "PReLU" bottom: "x" top: "x" }' * 2
    path = save(network(text, {'p': [b]}), tmp_path / 'net.caffemodel')
    with pytest.raises(ValueError, match='its name is that of another layer.*layer 2 of 2, "p" of type PReLU'):
        CaffeFunction(path)


@reads
def test_other_files_are_told_apart(tmp_path):
    for content, message in [
        (b'', 'the file is empty'),
        (NET.encode(), 'this is a text, not a caffemodel'),
        (b'\x89HDF\r\n\x1a\n' + bytes(100), 'this is an HDF5 file'),
        (caffe_pb.NetParameter(name='n').SerializeToString(), 'there are no layers in it'),
        (b'\x07' + bytes(20), 'unknown kind 7 of field 0|there is no field 0'),
    ]:
        path = save(content, tmp_path / 'other')
        with pytest.raises(ValueError, match=message) as caught:
            CaffeFunction(path)
        assert str(caught.value).startswith(path)
    with pytest.raises(FileNotFoundError):
        CaffeFunction(str(tmp_path / 'nothing'))


@reads
def test_protobuf_is_needed_only_when_files_are_read():
    code = """
import sys
sys.modules['google.protobuf'] = None
from chainlite.links.caffe import CaffeFunction
import chainlite.exporters.caffe
try:
    CaffeFunction('x')
except ImportError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout == "protobuf is needed for Caffe's files: pip install chainlite[caffe]\n", done.stderr


@reads
def test_messages_are_those_of_caffe():
    """A few lines of a file that Caffe wrote, byte for byte."""
    net = caffe_pb.NetParameter(name='n')
    net.layer.add(name='c', type='Pooling', phase=caffe_pb.TEST).pooling_param.pool = 1
    assert net.SerializeToString() == b'\n\x01n\xa2\x06\x13\n\x01c\x12\x07Pooling\x50\x01\xca\x07\x02\x08\x01'
    assert blob(b).SerializeToString() == b'\x2a\x10' + b.tobytes() + b'\x3a\x03\x0a\x01\x04'
    layer = caffe_pb.LayerParameter()
    assert layer.convolution_param.bias_term and layer.lrn_param.local_size == 5 and layer.eltwise_param.operation == 1
    assert F is chainlite.functions
