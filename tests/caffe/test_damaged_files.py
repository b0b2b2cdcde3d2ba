"""Files that are cut off, changed at random or made to harm: an error that names the file, in bounded time and memory.

CHAINLITE_TEST_MUTATIONS says how many changed files to try.
"""

import os
import time
import tracemalloc

import numpy as np
import pytest

import chainlite
from caffe.networks import blob, network, save
from chainlite.links.caffe import CaffeFunction
from chainlite.links.caffe.caffe_function import caffe_pb

reads = pytest.mark.host('files are read on the host')
MUTATIONS = int(os.environ.get('CHAINLITE_TEST_MUTATIONS', 300))
NET = """
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { kernel_size: 2 pad: 1 group: 2 } }
layer { name: "b" type: "BatchNorm" bottom: "c" top: "b" }
layer { name: "s" type: "Scale" bottom: "b" top: "s" scale_param { bias_term: true } }
layer { name: "r" type: "ReLU" bottom: "s" top: "s" relu_param { negative_slope: 0.1 } }
layer { name: "l" type: "LRN" bottom: "s" top: "l" lrn_param { local_size: 3 } }
layer { name: "w" type: "LRN" bottom: "l" top: "w" lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL } }
layer { name: "p" type: "Pooling" bottom: "w" top: "p" pooling_param { kernel_size: 2 stride: 2 pool: AVE } }
layer { name: "d" type: "Deconvolution" bottom: "p" top: "d" convolution_param { kernel_size: 2 } }
layer { name: "f" type: "Reshape" bottom: "d" top: "f" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "i" type: "InnerProduct" bottom: "f" top: "y" inner_product_param { num_output: 3 } }
"""


def good_bytes():
    rng = np.random.RandomState(0)
    shapes = {'c': [(4, 1, 2, 2), (4,)], 'b': [(4,), (4,), (1,)], 's': [(4,), (4,)], 'd': [(4, 2, 2, 2), (2,)]}
    weights = {name: [abs(rng.randn(*shape)) for shape in shapes[name]] for name in shapes}
    weights['i'] = [rng.randn(3, 2 * 4 * 4), rng.randn(3)]
    return network(NET, weights).SerializeToString()


def run(path, device='@numpy'):
    device = chainlite.get_device(device)
    function = CaffeFunction(path).to_device(device)
    x = device.send(np.ones((1, 2, 5, 5), 'f'))
    with chainlite.using_config('train', False), chainlite.no_backprop_mode():
        return function({'x': x}, ['y'])[0].array


def test_the_network_that_is_damaged_below_is_whole(tmp_path, device):
    assert device.xp.isfinite(run(save(good_bytes(), tmp_path / 'good'), device)).all()


@reads
def test_a_file_that_is_cut_off_is_refused(tmp_path):
    """Except between two layers, where it is a shorter network."""
    content = good_bytes()
    ends = {len(content)}
    net = caffe_pb.NetParameter.FromString(content)
    while net.layer:
        del net.layer[-1]
        ends.add(len(net.SerializeToString()))
    for n in range(0, len(content), 7):
        if n in ends - {0}:
            continue
        path = save(content[:n], tmp_path / 'cut')
        with pytest.raises(ValueError) as caught:
            CaffeFunction(path)
        assert str(caught.value).startswith(path)
    with pytest.raises(ValueError, match=r'byte \d+, in the network: field 100 says it has \d+ bytes, \d+ are left'):
        CaffeFunction(save(content[:-1], tmp_path / 'cut'))


def mutate(content, rng):
    content = bytearray(content)
    kind = rng.randint(4)
    for _ in range(rng.randint(1, 4)):
        i = rng.randint(len(content))
        if kind == 0:
            content[i] = rng.randint(256)
        elif kind == 1:
            content[i] ^= 1 << rng.randint(8)
        elif kind == 2:
            del content[i : i + rng.randint(1, 9)]
        else:
            content[i:i] = bytes(rng.randint(0, 256, rng.randint(1, 9), dtype=np.uint8))
    return bytes(content)


@reads
@pytest.mark.filterwarnings('ignore')  # of layers that are left out, and of numbers that overflow
def test_a_damaged_file_is_refused_or_runs(tmp_path):
    """What still is a network may fail when it is run, by an error of a function about its inputs."""
    content, rng = good_bytes(), np.random.RandomState(1)
    weights_free = caffe_pb.NetParameter.FromString(content)
    for layer in weights_free.layer:
        layer.ClearField('blobs')
    refused = 0
    for i in range(MUTATIONS):
        damaged = mutate(content if i % 4 else weights_free.SerializeToString(), rng)
        path = save(damaged, tmp_path / 'damaged')
        start = time.process_time()  # which a machine with other things to do does not lengthen
        try:
            CaffeFunction(path)
        except ValueError as e:
            assert path in str(e), (i, e)
            refused += 1
        else:
            try:
                run(path)
            except (
                KeyError,
                ValueError,
                TypeError,
                IndexError,
                chainlite.utils.type_check.InvalidType,
                AssertionError,
            ):
                pass
        assert time.process_time() - start < 10, i
    assert refused > MUTATIONS / 5


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def message(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def layer(text, *blobs):
    net = network(f'layer {{ name: "l" bottom: "x" top: "y" {text} }}')
    net.layer[0].blobs.extend(blobs)
    return net.SerializeToString()


def huge(*dims):
    proto = blob(np.zeros(4))
    proto.shape.ClearField('dim')
    proto.shape.dim.extend(dims)
    return proto


HOSTILE = {
    'huge array': (layer('type: "InnerProduct"', huge(1 << 40, 1 << 40)), 'but there are 4 values'),
    'sizes that overflow': (layer('type: "InnerProduct"', huge(1 << 32, 1 << 32)), 'but there are 4 values'),
    'negative size': (layer('type: "InnerProduct"', huge(-2, -2)), 'but there are 4 values'),
    'a great many layers': (b'\xa2\x06\x00' * 400_000, 'more than 300000 fields'),
    'a great many arrays': (message(100, b'\x3a\x00' * 400_000), 'more than 300000 fields'),
    'endless number': (b'\xff' * 1000, 'more than 64 bits'),
    'length beyond the file': (varint(100 << 3 | 2) + varint(1 << 62), f'says it has {1 << 62} bytes'),
    'length beyond the layer': (message(100, varint(7 << 3 | 2) + varint(50)) + bytes(60), 'in layer 1 of the network'),
    'groups': (
        layer(
            'type: "Convolution" convolution_param { kernel_size: 1 bias_term: false group: 4000000000 }',
            huge(4, 1, 1, 1),
        ),
        'group is 4000000000',
    ),
    'text that is none': (
        message(100, message(1, b'\xff\xfe') + message(2, b'ReLU') + message(3, b'x')),
        'its names are no text|utf-8',
    ),
    'group of fields': (b'\xa3\x06\xa4\x06', 'unknown kind 3 of field 100'),
}


@reads
@pytest.mark.parametrize('what', HOSTILE)
def test_hostile_files_are_refused_in_little_memory(what, tmp_path):
    content, expected = HOSTILE[what]
    path = save(content, tmp_path / 'hostile')
    if len(content) < 10_000:  # tracing is slow; of the larger ones nothing is made, as the message shows
        tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=expected) as caught:
            CaffeFunction(path)
        if tracemalloc.is_tracing():
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert path in str(caught.value)
