"""Weights of others: published caffemodels, downloaded, converted and beside OpenCV; torchvision's beside it."""

import http.server
import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from caffe.networks import run_opencv

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite.dataset import download
from chainlite.links.caffe import CaffeFunction
from chainlite.links.model.vision import _published, resnet, vgg
from links import published_networks, torchvision_weights
from links.torchvision_weights import IMAGE, VALUES, small_vgg, state, write_safetensors

pytestmark = pytest.mark.host('finds, reads and converts files; test_vision.py computes with the networks on CuPy')
SMALL = (4, 6, 8, 10, 12), 16  # widths of a VGG that runs in a moment


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(vgg, '_CHANNELS', SMALL[0])
    monkeypatch.setattr(vgg, '_HIDDEN', SMALL[1])


@pytest.fixture
def root(tmp_path):
    before = download.get_dataset_root()
    download.set_dataset_root(str(tmp_path / 'root'))
    yield tmp_path / 'root'
    download.set_dataset_root(before)


@pytest.fixture(autouse=True)
def inference():
    with chainlite.using_config('train', False), chainlite.no_backprop_mode():
        yield


def image(size):
    return np.random.RandomState(0).randn(1, 3, size, size).astype('f') * 50


# -- caffemodels under the names of the published ones


@pytest.fixture(scope='module')
def resnet50(tmp_path_factory):
    """A caffemodel, its prototxt, and the npz it is converted to."""
    folder = tmp_path_factory.mktemp('resnet')
    net = published_networks.resnet(50, (3, 4, 6, 3), 64)
    path = net.save(folder / 'ResNet-50-model.caffemodel')
    L.ResNet50Layers.convert_caffemodel_to_npz(path, str(folder / 'resnet.npz'))
    return path, net.prototxt, str(folder / 'resnet.npz')


def test_a_converted_resnet_computes_what_opencv_computes(resnet50):
    path, prototxt, npz = resnet50
    x = image(64)
    expected, features = run_opencv(prototxt, path, {'data': x}, ['fc1000', 'res4f_relu'])
    blobs = CaffeFunction(path)({'data': x}, ['fc1000', 'res4f'])
    np.testing.assert_allclose(blobs[0].array, expected, atol=1e-4 * abs(expected).max())
    np.testing.assert_allclose(blobs[1].array, features, atol=1e-4 * abs(features).max())
    model = L.ResNet50Layers(npz)
    near = model(x, ['fc6'])['fc6'].array
    # Chainer's links add 2e-5 to a variance, Caffe 1e-5: 53 times half of a hundred-thousandth, relative.
    np.testing.assert_allclose(near, expected, atol=2e-3 * abs(expected).max())
    for link in model.links():
        if isinstance(link, L.BatchNormalization):
            link.eps = 1e-5
    np.testing.assert_allclose(model(x, ['fc6'])['fc6'].array, expected, atol=1e-4 * abs(expected).max())
    assert abs(near - expected).max() > 1e-6 * abs(expected).max()


def test_a_converted_resnet_computes_what_pytorch_computes(resnet50):
    """In a network of PyTorch's modules, with the arrays of the npz file."""
    torch = pytest.importorskip('torch', reason='PyTorch, to compare with, is not installed')
    nn = torch.nn
    weights = dict(np.load(resnet50[2]))

    def convolution(name, stride, pad):
        W = torch.from_numpy(weights[f'{name}/W'])
        conv = nn.Conv2d(W.shape[1], W.shape[0], W.shape[2], stride, pad, bias=f'{name}/b' in weights)
        conv.load_state_dict(
            {'weight': W} | ({'bias': torch.from_numpy(weights[f'{name}/b'])} if conv.bias is not None else {})
        )
        return conv

    def normalization(name):
        names = dict(weight='gamma', bias='beta', running_mean='avg_mean', running_var='avg_var')
        bn = nn.BatchNorm2d(len(weights[f'{name}/gamma']), eps=2e-5)
        bn.load_state_dict({k: torch.from_numpy(weights[f'{name}/{v}']) for k, v in names.items()}, strict=False)
        return bn

    class Block(nn.Module):
        def __init__(self, name, stride):
            super().__init__()
            layers = []
            for i, (s, pad) in enumerate([(stride, 0), (1, 1), (1, 0)], 1):
                layers += [convolution(f'{name}/conv{i}', s, pad), normalization(f'{name}/bn{i}'), nn.ReLU()]
            self.way = nn.Sequential(*layers[:-1])
            self.shortcut = nn.Sequential()
            if f'{name}/conv4/W' in weights:
                self.shortcut = nn.Sequential(convolution(f'{name}/conv4', stride, 0), normalization(f'{name}/bn4'))

        def forward(self, x):
            return torch.relu(self.way(x) + self.shortcut(x))

    layers = [convolution('conv1', 2, 3), normalization('bn1'), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    for stage, count in enumerate((3, 4, 6, 3), 2):
        layers += [
            Block(f'res{stage}/{"a" if i == 0 else f"b{i}"}', 2 if i == 0 and stage > 2 else 1) for i in range(count)
        ]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    x = image(64)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    y = L.ResNet50Layers(resnet50[2])(x, ['pool5'])['pool5'].array
    np.testing.assert_allclose(y, expected, atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize('n_layers, counts', [(101, (3, 4, 23, 3)), (152, (3, 8, 36, 3))])
def test_the_deeper_resnets_are_converted_under_their_names(n_layers, counts, tmp_path):
    net = published_networks.resnet(n_layers, counts, 32)
    path = net.save(tmp_path / f'ResNet-{n_layers}-model.caffemodel')
    model = resnet.ResNetLayers(path, n_layers)
    assert (tmp_path / f'ResNet-{n_layers}-model.npz').exists()
    x = image(32)
    (expected,) = run_opencv(net.prototxt, path, {'data': x}, ['fc1000'])
    y = model(x, ['fc6'])['fc6'].array
    np.testing.assert_allclose(y, expected, atol=4e-3 * abs(expected).max())  # the sums of a variance differ, as above


def test_a_caffemodel_of_another_depth_is_refused(resnet50, tmp_path):
    with pytest.raises(ValueError, match='ResNet-50-model.caffemodel is no ResNet of 101 layers: '):
        L.ResNet101Layers.convert_caffemodel_to_npz(resnet50[0], str(tmp_path / 'x.npz'), n_layers=101)
    assert not list(tmp_path.iterdir())


def test_the_published_resnet_is_converted_once_and_its_npz_used(resnet50, root, capsys):
    folder = root / 'pfnet' / 'chainer' / 'models'
    folder.mkdir(parents=True)
    caffemodel = folder / 'ResNet-50-model.caffemodel'
    caffemodel.symlink_to(resnet50[0])
    first = L.ResNet50Layers()
    assert capsys.readouterr().err == 'Now loading caffemodel (usually it may take few minutes)\n'
    caffemodel.unlink()
    second = L.ResNet50Layers()
    assert capsys.readouterr().err == ''
    np.testing.assert_array_equal(first.res5.b2.conv3.W.array, second.res5.b2.conv3.W.array)


def test_a_converted_googlenet_computes_what_opencv_computes(tmp_path):
    net = published_networks.googlenet()
    path = net.save(tmp_path / 'bvlc_googlenet.caffemodel')
    x = image(224)
    names = ['loss3/classifier', 'loss1/classifier', 'loss2/classifier']
    expected = run_opencv(net.prototxt, path, {'data': x}, names)
    found = L.GoogLeNet(path)(x, ['loss3_fc', 'loss1_fc2', 'loss2_fc2'])
    for y, e in zip((found['loss3_fc'], found['loss1_fc2'], found['loss2_fc2']), expected):
        np.testing.assert_allclose(y.array, e, atol=1e-4 * abs(e).max())


def test_a_converted_googlenet_computes_what_pytorch_computes(tmp_path):
    torch = pytest.importorskip('torch', reason='PyTorch, to compare with, is not installed')
    path = published_networks.googlenet().save(tmp_path / 'bvlc_googlenet.caffemodel')
    weights = {
        layer.name: [torch.from_numpy(p.array) for p in (layer.W, layer.b)] for layer in CaffeFunction(path).children()
    }
    f = torch.nn.functional

    def convolve(x, name, stride=1, pad=0):
        return torch.relu(f.conv2d(x, *weights[name], stride, pad))

    def halve(x):
        return f.max_pool2d(x, 3, 2, ceil_mode=True)

    def inception(x, i):
        return torch.cat(
            [
                convolve(x, f'{i}/1x1'),
                convolve(convolve(x, f'{i}/3x3_reduce'), f'{i}/3x3', 1, 1),
                convolve(convolve(x, f'{i}/5x5_reduce'), f'{i}/5x5', 1, 2),
                convolve(f.max_pool2d(x, 3, 1, 1), f'{i}/pool_proj'),
            ],
            1,
        )

    x = image(224)
    with torch.no_grad():
        h = f.local_response_norm(halve(convolve(torch.from_numpy(x), 'conv1/7x7_s2', 2, 3)), 5, k=1)
        h = halve(f.local_response_norm(convolve(convolve(h, 'conv2/3x3_reduce'), 'conv2/3x3', 1, 1), 5, k=1))
        for name in published_networks.INCEPTIONS:
            h = inception(h, f'inception_{name}')
            h = halve(h) if name in ('3b', '4e') else h
        expected = f.linear(h.mean((2, 3)), *weights['loss3/classifier']).numpy()
    y = L.GoogLeNet(path)(x, ['loss3_fc'])['loss3_fc'].array
    np.testing.assert_allclose(y, expected, atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize('make, counts', [(L.VGG16Layers, (2, 2, 3, 3, 3)), (L.VGG19Layers, (2, 2, 4, 4, 4))])
def test_a_converted_vgg_computes_what_opencv_computes(make, counts, small, tmp_path):
    net = published_networks.vgg(counts, *SMALL)
    path = net.save(tmp_path / 'vgg.caffemodel', old=True)
    x = image(224)
    expected, features = run_opencv(net.prototxt, path, {'data': x}, ['fc8', 'conv3_3_relu'])
    found = make(path)(x, ['fc8', 'conv3_3'])
    for y, e in (found['fc8'], expected), (found['conv3_3'], features):
        np.testing.assert_allclose(y.array, e, atol=1e-4 * abs(e).max())


# -- downloads


class Server:
    """A web server of one file, which may end a connection early, and knows what it was asked for."""

    def __init__(self, content):
        self.content, self.ends_after, self.asked, self.ranges = content, None, [], True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers.get('Range')))
                start = 0
                if outer.ranges and self.headers.get('Range'):
                    start = int(self.headers['Range'].removeprefix('bytes=').removesuffix('-'))
                if 'missing' in self.path:
                    return self.send_error(404)
                if start >= len(outer.content):
                    return self.send_error(416)
                self.send_response(206 if start else 200)
                self.send_header('Content-Length', str(len(outer.content) - start))
                self.end_headers()
                self.wfile.write(outer.content[start : outer.ends_after])

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}/'
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(tmp_path, monkeypatch, small):
    """Serves a small VGG as the published one, at its second address; the first has nothing."""
    import hashlib

    net = published_networks.vgg((2, 2, 3, 3, 3), *SMALL)
    content = (tmp_path / 'served').read_bytes() if net.save(tmp_path / 'served', old=True) else b''
    server = Server(content)
    entry = hashlib.sha1(content).hexdigest(), [server.url + 'missing.caffemodel', server.url + 'there.caffemodel']
    monkeypatch.setitem(_published.CAFFEMODELS, 'VGG_ILSVRC_16_layers', entry)
    yield server
    server.close()


def test_the_published_vgg_is_downloaded_and_converted_once(server, root, capsys):
    first = L.VGG16Layers()
    told = capsys.readouterr().err
    assert f'Downloading from {server.url}there.caffemodel...\n' in told and ' 100 % of ' in told
    assert 'Now loading caffemodel (usually it may take few minutes)' in told
    assert [path for path, _ in server.asked] == ['/missing.caffemodel', '/there.caffemodel']
    second = L.VGG16Layers()
    assert capsys.readouterr().err == '' and len(server.asked) == 2
    np.testing.assert_array_equal(first.fc8.W.array, second.fc8.W.array)
    npz = root / 'pfnet' / 'chainer' / 'models' / 'VGG_ILSVRC_16_layers.npz'
    npz.unlink()
    L.VGG16Layers()  # the caffemodel is kept too
    assert len(server.asked) == 2 and npz.exists()


@pytest.mark.parametrize('ranges', [True, False])
def test_a_download_that_was_cut_off_goes_on_where_it_ended(server, root, ranges):
    server.ranges, server.ends_after = ranges, 5000
    with pytest.raises(OSError, match=r'the connection ended early; 5000 bytes of \d+ are kept'):
        _published.fetch('VGG_ILSVRC_16_layers')
    server.ends_after = None
    path = _published.fetch('VGG_ILSVRC_16_layers')
    assert server.asked[-1] == ('/there.caffemodel', 'bytes=5000-')
    with open(path, 'rb') as f:
        assert f.read() == server.content
    assert [p.name for p in (root / '_dl_cache').iterdir()] == [path.rsplit('/', 1)[1]]


def test_another_content_is_not_taken(server, root):
    server.content = bytes(len(server.content))
    with pytest.raises(OSError, match='it has another content: SHA-1'):
        _published.fetch('VGG_ILSVRC_16_layers')
    assert not list((root / '_dl_cache').iterdir())


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server, root):
    url = _published.CAFFEMODELS['VGG_ILSVRC_16_layers'][1][1]
    part = download.download_path(url) + '.part'
    (root / '_dl_cache').mkdir(parents=True)
    with open(part, 'wb') as f:
        f.write(bytes(len(server.content) + 1))
    with open(_published.fetch('VGG_ILSVRC_16_layers'), 'rb') as f:
        assert f.read() == server.content


def test_a_file_put_in_place_is_taken(server, root):
    folder = root / 'pfnet' / 'chainer' / 'models'
    folder.mkdir(parents=True)
    (folder / 'VGG_ILSVRC_16_layers.caffemodel').write_bytes(server.content)
    L.VGG16Layers()
    assert server.asked == []


def test_offline_one_error_names_the_addresses_and_the_file(small, root, monkeypatch):
    urls = ['http://127.0.0.1:9/a.caffemodel', 'http://127.0.0.1:9/b.caffemodel']
    for make, name in (L.VGG16Layers, 'VGG_ILSVRC_16_layers'), (L.GoogLeNet, 'bvlc_googlenet'):
        monkeypatch.setitem(_published.CAFFEMODELS, name, ('0', urls))
        with pytest.raises(OSError) as caught:
            make()
        assert all(url in str(caught.value) for url in urls)
        assert f'place it on {root}/pfnet/chainer/models/{name}.caffemodel' in str(caught.value)


def test_the_published_addresses_are_those_of_chainer():
    first = {name: urls[0] for name, (_, urls) in _published.CAFFEMODELS.items()}
    assert first == {
        'VGG_ILSVRC_16_layers': 'https://www.robots.ox.ac.uk/%7Evgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel',
        'VGG_ILSVRC_19_layers': 'http://www.robots.ox.ac.uk/%7Evgg/software/very_deep/caffe/VGG_ILSVRC_19_layers.caffemodel',
        'bvlc_googlenet': 'http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel',
    }


def test_a_damaged_caffemodel_leaves_no_npz(tmp_path):
    path = tmp_path / 'vgg.caffemodel'
    path.write_bytes(b'\xa2\x06\xff')
    with pytest.raises(ValueError, match='vgg.caffemodel'):
        L.GoogLeNet(str(path))
    assert [p.name for p in tmp_path.iterdir()] == ['vgg.caffemodel']


# -- torchvision


@pytest.mark.parametrize('n_layers', [50, 101, 152])
def test_a_resnet_of_torchvision_computes_what_it_does_there(n_layers, tmp_path):
    shapes = torchvision_weights.resnet_shapes(n_layers)
    model = resnet.ResNetLayers(write_safetensors(tmp_path / 'resnet.safetensors', state(shapes)), n_layers)
    assert model.res3.a.conv2.stride == (2, 2) and model.res3.a.conv1.stride == (1, 1)
    y = model.extract([IMAGE], ['fc6'], size=None)['fc6'].array[0]
    expected = np.load(VALUES)[f'resnet{n_layers}']
    np.testing.assert_allclose(y, expected, atol=1e-4 * max(1, abs(expected).max()))


def test_files_of_pytorch_are_read_without_running_their_code(small, tmp_path):
    torch = pytest.importorskip('torch', reason='PyTorch, which reads its files, is not installed')
    arrays = state(small_vgg(16))
    torch.save({name: torch.from_numpy(a) for name, a in arrays.items()}, tmp_path / 'vgg.pth')
    model = L.VGG16Layers(str(tmp_path / 'vgg.pth'))
    np.testing.assert_array_equal(model.fc7.W.array, arrays['classifier.3.weight'])
    torch.save({'features.0.weight': print}, tmp_path / 'bad.pth')
    with pytest.raises(ValueError, match='bad.pth'):
        L.VGG16Layers(str(tmp_path / 'bad.pth'))
    with pytest.raises(FileNotFoundError):
        L.VGG16Layers(str(tmp_path / 'none.pth'))


def test_other_networks_of_torchvision_are_refused(small, tmp_path):
    model = L.VGG16Layers(None)
    before = model.conv1_1.W.array.copy()
    arrays = state(small_vgg(16))
    normalized = arrays | {'features.1.running_mean': np.zeros(4, 'f')}
    with pytest.raises(ValueError, match="'features.1.running_mean' belongs to batch normalization"):
        model._load_torchvision(write_safetensors(tmp_path / 'bn.safetensors', normalized))
    with pytest.raises(
        ValueError, match=r"lacks \['features.17.bias'.*\(6 in all\) and has \['features.16.bias'.*\(12\)"
    ):
        model._load_torchvision(write_safetensors(tmp_path / '19.safetensors', state(small_vgg(19))))
    wide = arrays | {'classifier.6.bias': np.zeros(10, 'f')}
    with pytest.raises(ValueError, match=r'classifier.6.bias has the shape \(10,\), it should be \(1000,\)'):
        model._load_torchvision(write_safetensors(tmp_path / 'wide.safetensors', wide))
    np.testing.assert_array_equal(model.conv1_1.W.array, before)
    assert model._mean == vgg._MEAN
    with pytest.raises(ValueError, match="torchvision's GoogLeNet has batch normalization"):
        L.GoogLeNet(str(tmp_path / 'bn.safetensors'))


@pytest.mark.parametrize(
    'damage',
    [
        lambda b: b[:4],
        lambda b: b[:100],
        lambda b: b[:-1],
        lambda b: b'\xff' * 8 + b[8:],
        lambda b: b.replace(b'F32', b'F99', 1),
        lambda b: b.replace(b'"shape": [4,', b'"shape": [5,', 1),
        lambda b: b.replace(b'"data_offsets": [0,', b'"data_offsets": [1,', 1),
        lambda b: b.replace(b'{', b'[', 1),
        lambda b: b.replace(b'"dtype"', b'"dtypo"', 1),
    ],
)
def test_damaged_safetensors_are_refused(damage, small, tmp_path):
    path = write_safetensors(tmp_path / 'vgg.safetensors', state(small_vgg(16)))
    with open(path, 'rb') as f:
        content = f.read()
    with open(path, 'wb') as f:
        f.write(damage(content))
    assert damage(content) != content
    with pytest.raises(ValueError, match='vgg.safetensors'):
        L.VGG16Layers(path)


def test_half_precision_is_read(small, tmp_path):
    from chainlite.links.model.vision import _torchvision

    a = np.float32([1, -2, 0.5, 3.25])
    entries = {'h': ('F16', (4,), (0, 8)), 'b': ('BF16', (2, 2), (8, 16))}
    header = json.dumps({name: dict(zip(('dtype', 'shape', 'data_offsets'), e)) for name, e in entries.items()})
    bits = (a.view(np.uint32) >> 16).astype('<u2')
    path = tmp_path / 'half.safetensors'
    path.write_bytes(len(header).to_bytes(8, 'little') + header.encode() + a.astype('<f2').tobytes() + bits.tobytes())
    read = _torchvision.read_state(str(path))
    np.testing.assert_array_equal(read['h'], a)
    np.testing.assert_array_equal(read['b'], a.reshape(2, 2))


def test_pytorch_is_named_where_it_is_needed():
    code = """
import sys
sys.modules['torch'] = None
from chainlite.links.model.vision import _torchvision
try:
    _torchvision.read_state('x.pth')
except ImportError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.startswith('PyTorch is needed to read x.pth: pip install torch'), done.stderr
    assert F is chainlite.functions
