"""Trained networks of Caffe on their data, beside what OpenCV computed with them.

CHAINLITE_TEST_DATA names the folder that holds them; without it these tests are skipped, and test_layers.py compares
every type of layer.
"""

import csv
import gzip
import lzma
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from caffe.networks import run_opencv
from chainlite.backends import cuda
from chainlite.links.caffe import CaffeFunction

DATA = Path(os.environ.get('CHAINLITE_TEST_DATA', '-'))
pytestmark = pytest.mark.skipif(not (DATA / 'caffe').is_dir(), reason='needs the caffemodels in CHAINLITE_TEST_DATA')


@pytest.fixture(scope='module')
def golden():
    with np.load(DATA / 'caffe' / 'golden_opencv.npz') as arrays:
        return dict(arrays)


def mnist():
    def read(name, offset):
        with gzip.open(DATA / 'mnist' / f't10k-{name}-ubyte.gz') as f:
            return np.frombuffer(f.read(), np.uint8, offset=offset)

    return read('images-idx3', 16).reshape(-1, 1, 28, 28) / np.float32(256), read('labels-idx1', 8)


def cifar10():
    with lzma.open(DATA / 'cifar10' / 'test_batch.xz') as f:
        batch = pickle.load(f, encoding='latin1')
    mean = np.load(DATA / 'cifar10' / 'train_mean_rgb_3x32x32.npy')
    return batch['data'].reshape(-1, 3, 32, 32).astype('f') - mean, np.array(batch['labels'])


def test_mode():
    return chainlite.using_config('train', False), chainlite.no_backprop_mode()


def compute(function, x, output, size=500):
    mode, no_graph = test_mode()
    with mode, no_graph:
        ys = [function({'data': x[i : i + size]}, [output])[0].array for i in range(0, len(x), size)]
    return cuda.to_cpu(function.xp.concatenate(ys))


test_mode.__test__ = False

MODELS = {
    'lenet_mnist.ethereon': ('lenet_mnist/ethereon_lenet_iter_10000', 'ip2', mnist, 0.9914),
    'cifar10_quick': ('cifar10_quick/cifar10_quick_iter_5000', 'ip2', cifar10, 0.7491),
    'cifar10_full': ('cifar10_full/cifar10_full_iter_70000', 'ip1', cifar10, 0.8211),
}


def load(name):
    file, output, *_ = MODELS[name]
    return CaffeFunction(str(DATA / 'caffe' / f'{file}.caffemodel')), output


@pytest.mark.parametrize('name', MODELS)
def test_probabilities_are_those_of_opencv(name, golden, device):
    function, output = load(name)
    function.to_device(device)
    x, _ = MODELS[name][2]()
    expected = golden[name][: 32 if device.xp is np else 2]
    y = F.softmax(compute(function, device.send(x[: len(expected)]), output)).array
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.host('ten thousand pictures; on CuPy, test_probabilities_are_those_of_opencv')
@pytest.mark.parametrize('name', MODELS)
def test_accuracy_on_the_test_set_is_that_of_opencv(name):
    x, t = MODELS[name][2]()
    assert (compute(*(lambda f, out: (f, x, out))(*load(name))).argmax(1) == t).mean() == pytest.approx(MODELS[name][3])


# -- SqueezeNet


@pytest.fixture(scope='module')
def squeezenet_path(tmp_path_factory):
    path = tmp_path_factory.mktemp('models') / 'squeezenet.caffemodel'
    packed = DATA / 'caffe' / 'squeezenet_v1.0' / 'SqueezeNet_v1.0_decompressed.caffemodel.xz'
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    return str(path)


@pytest.fixture(scope='module')
def squeezenet(squeezenet_path):
    return CaffeFunction(squeezenet_path)


def minus_mean(bgr):
    return bgr.astype('f').transpose(0, 3, 1, 2) - np.float32([104, 117, 123])[:, None, None]


@pytest.mark.host('large pictures; on CuPy, test_squeezenet_takes_pictures_of_any_size')
def test_squeezenet_computes_what_opencv_computes(squeezenet, golden):
    y = compute(squeezenet, minus_mean(golden['squeezenet.input_bgr_u8_227']), 'pool_final')
    assert y.shape == (4, 1000, 1, 1)
    np.testing.assert_allclose(y.reshape(4, 1000), golden['squeezenet.pool_final'], atol=1e-4)


def opencv_squeezenet(path, x):
    prototxt = (DATA / 'caffe' / 'squeezenet_v1.0' / 'SqueezeNet_deploy.prototxt').read_text()
    return np.stack([run_opencv(prototxt, path, {'data': one[None]}, ['pool_final'])[0] for one in x])


def test_squeezenet_takes_pictures_of_any_size(squeezenet_path, golden, device):
    x = minus_mean(golden['squeezenet.input_bgr_u8_227'])[:1, :, 80:127, 80:135]
    y = compute(CaffeFunction(squeezenet_path).to_device(device), device.send(x), 'pool_final')
    np.testing.assert_allclose(y.reshape(1, 1000), opencv_squeezenet(squeezenet_path, x).reshape(1, 1000), atol=1e-4)


@pytest.mark.host('large pictures; on CuPy, test_squeezenet_takes_pictures_of_any_size')
def test_photos_are_classified_as_opencv_classifies_them(squeezenet, squeezenet_path):
    """As their names say, but for four."""
    from PIL import Image

    with open(DATA / 'photos' / 'synset_labels.tsv', newline='') as f:
        names = [row[2] for row in csv.reader(f, delimiter='\t')]
    paths = sorted((DATA / 'photos').glob('*.JPEG'))
    rgb = np.stack([np.asarray(Image.open(p).convert('RGB').resize((227, 227), Image.BILINEAR)) for p in paths])
    x = minus_mean(rgb[..., ::-1])
    y = compute(squeezenet, x, 'pool_final').reshape(8, 1000)
    expected = opencv_squeezenet(squeezenet_path, x).reshape(8, 1000)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    other = {'tabby': 'Egyptian_cat', 'computer_keyboard': 'notebook', 'orange': 'soup_bowl', 'alp': 'valley'}
    found = [names[i] for i in y.argmax(1)]
    assert found == [names[i] for i in expected.argmax(1)]
    assert found == [other.get(name, name) for name in (p.stem.split('_', 1)[1] for p in paths)]
