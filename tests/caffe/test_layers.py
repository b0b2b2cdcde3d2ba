"""Each type of layer, against OpenCV's reading of the same prototxt and caffemodel (or a formula)."""

import numpy as np
import pytest

import chainlite
from caffe.networks import inputs_text, network, run_opencv, save
from chainlite.backends import cuda
from chainlite.links.caffe import CaffeFunction
from chainlite.links.caffe.protobuf3 import caffe_pb2

rng = np.random.RandomState(0)


def normal(*shape):
    return rng.randn(*shape).astype('f')


def positive(*shape):
    return rng.uniform(0.5, 2, shape).astype('f')


X = (2, 6, 7, 9)
# name: (type and parameters, arrays of parameters, shape of the input[s])
SAMPLES = {
    'convolution': (
        'type: "Convolution" convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 }',
        [normal(4, 6, 3, 3), normal(4)],
    ),
    'convolution_by_sides': (
        'type: "Convolution" convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 0'
        ' pad_w: 1 bias_term: false }',
        [normal(4, 6, 3, 2)],
    ),
    'convolution_dilated': (
        'type: "Convolution" convolution_param { num_output: 4 kernel_size: 3 pad: 2 dilation: 2 }',
        [normal(4, 6, 3, 3), normal(4)],
    ),
    'convolution_in_two_groups': (
        'type: "Convolution" convolution_param { num_output: 4 kernel_size: 3 group: 2 }',
        [normal(4, 3, 3, 3), normal(4)],
    ),
    'convolution_depthwise': (
        'type: "Convolution" convolution_param { num_output: 12 kernel_size: 3 group: 12 }',
        [normal(12, 1, 3, 3), normal(12)],
        (2, 12, 5, 6),
    ),
    'deconvolution': (
        'type: "Deconvolution" convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 }',
        [normal(6, 4, 4, 4), normal(4)],
    ),
    'deconvolution_in_groups': (
        'type: "Deconvolution" convolution_param { num_output: 6 kernel_size: 4 stride: 2 group: 6 bias_term: false }',
        [normal(6, 1, 4, 4)],
    ),
    'deconvolution_depthwise': (
        'type: "Deconvolution" convolution_param { num_output: 12 kernel_size: 4 stride: 2 pad: 1 group: 12 }',
        [normal(12, 1, 4, 4), normal(12)],
        (2, 12, 5, 6),
    ),
    'inner_product': (
        'type: "InnerProduct" inner_product_param { num_output: 5 }',
        [normal(5, 6 * 7 * 9), normal(5)],
    ),
    'inner_product_along_the_last_axis': (
        'type: "InnerProduct" inner_product_param { num_output: 5 axis: 3 bias_term: false }',
        [normal(5, 9)],
    ),
    **{
        f'{pool.lower()}_pooling_{k}_{s}_{p}_of_{h}x{w}': (
            f'type: "Pooling" pooling_param {{ pool: {pool} kernel_size: {k} stride: {s} pad: {p} }}',
            [],
            (2, 3, h, w),
        )
        for pool in ('MAX', 'AVE')
        for k, s, p, h, w in [(2, 2, 0, 6, 7), (3, 2, 0, 8, 7), (3, 2, 1, 7, 8), (2, 2, 1, 5, 6), (3, 3, 1, 8, 9)]
    },
    'max_pooling_by_sides': (
        'type: "Pooling" pooling_param { pool: MAX kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0 }',
        [],
    ),
    'global_max_pooling': ('type: "Pooling" pooling_param { pool: MAX global_pooling: true }', []),
    'global_average_pooling': ('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', []),
    'lrn': ('type: "LRN" lrn_param { local_size: 5 alpha: 0.1 beta: 0.75 }', []),
    'lrn_within_channels': (
        'type: "LRN" lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }',
        [],
    ),
    'batch_norm': ('type: "BatchNorm"', [normal(6) * 3, positive(6) * 3, np.float32([3])]),
    'batch_norm_eps': (
        'type: "BatchNorm" batch_norm_param { use_global_stats: true eps: 0.1 }',
        [normal(6), positive(6), np.float32([1])],
    ),
    'scale': ('type: "Scale"', [normal(6)]),
    'scale_and_bias': ('type: "Scale" scale_param { bias_term: true }', [normal(6), normal(6)]),
    'normalize': (
        'type: "Normalize" norm_param { across_spatial: false channel_shared: false }',
        [normal(6)],
        (1, 6, 3, 4),
    ),
    'normalize_across': ('type: "Normalize" norm_param { channel_shared: true }', [normal(1)], (1, 6, 3, 4)),
    'mvn': ('type: "MVN"', []),
    'relu': ('type: "ReLU"', []),
    'leaky_relu': ('type: "ReLU" relu_param { negative_slope: 0.3 }', []),
    'prelu': ('type: "PReLU"', [positive(6)]),
    'prelu_shared': ('type: "PReLU" prelu_param { channel_shared: true }', [np.float32([0.3])]),
    'sigmoid': ('type: "Sigmoid"', []),
    'tanh': ('type: "TanH"', []),
    'elu': ('type: "ELU"', []),
    'absolute_value': ('type: "AbsVal"', []),
    'bnll': ('type: "BNLL"', []),
    'power': ('type: "Power" power_param { power: 2 scale: 0.5 shift: 3 }', []),
    'power_of_scale_and_shift_alone': ('type: "Power" power_param { scale: 0.5 shift: 3 }', []),
    'exp': ('type: "Exp" exp_param { scale: 0.5 shift: 0.25 }', []),
    'exp_base': ('type: "Exp" exp_param { base: 2 scale: 0.5 shift: 0.25 }', []),
    'softmax': ('type: "Softmax"', []),
    'softmax_axis': ('type: "Softmax" softmax_param { axis: 3 }', []),
    'dropout': ('type: "Dropout"', []),
    'flatten': ('type: "Flatten"', []),
    'flatten_axes': ('type: "Flatten" flatten_param { axis: 2 end_axis: 3 }', []),
    'reshape': ('type: "Reshape" reshape_param { shape { dim: 2 dim: 3 dim: -1 } }', []),
    'reshape_kept': ('type: "Reshape" reshape_param { shape { dim: 0 dim: 3 dim: -1 dim: 9 } }', []),
    'reshape_some': ('type: "Reshape" reshape_param { shape { dim: 3 dim: 2 } axis: 1 num_axes: 1 }', []),
    'permute': ('type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 }', []),
    'concat': ('type: "Concat"', [], (2, 6, 3, 4), (2, 2, 3, 4)),
    'concat_axis': ('type: "Concat" concat_param { axis: 2 }', [], (2, 6, 3, 4), (2, 6, 1, 4)),
    'sum': ('type: "Eltwise"', [], X, X, X),
    'weighted_sum': ('type: "Eltwise" eltwise_param { operation: SUM coeff: 1 coeff: -0.5 }', [], X, X),
    'product': ('type: "Eltwise" eltwise_param { operation: PROD }', [], X, X),
    'maximum': ('type: "Eltwise" eltwise_param { operation: MAX }', [], X, X, X),
    'crop': ('type: "Crop" crop_param { axis: 2 offset: 2 offset: 1 }', [], X, (2, 6, 4, 5)),
    'crop_channels_too': ('type: "Crop" crop_param { axis: 1 offset: 1 }', [], X, (2, 3, 4, 5)),
    'interp': ('type: "Interp" interp_param { height: 13 width: 5 }', []),
    'interp_zoom': ('type: "Interp" interp_param { zoom_factor: 2 }', []),
}


def parse_layer(text):
    """The layer, with the parameters of Interp under the number that its files give them."""
    before, _, rest = text.partition('interp_param {')
    interp, _, after = rest.partition('}')
    net = network(f'layer {{ {before} {after} }}' if rest else f'layer {{ {text} }}')
    if rest:
        from google.protobuf import text_format

        param = text_format.Parse(interp, caffe_pb2.InterpParameter())
        net.layer[0].input_param.MergeFromString(param.SerializeToString())
    return net


def load(text, weights, tmp_path):
    net = parse_layer(text)
    net.layer[0].blobs.extend(network('layer { name: "y" }', {'y': weights}).layer[0].blobs)
    path = save(net, tmp_path / 'net.caffemodel')
    return CaffeFunction(path), path


def given(name):
    layer, weights, *shapes = SAMPLES[name]
    shapes = shapes or [X]
    inputs = {f'x{i}': rng.randn(*shape).astype('f') for i, shape in enumerate(shapes)}
    bottoms = ' '.join(f'bottom: "{x}"' for x in inputs)
    return f'name: "y" {bottoms} top: "y" {layer}', weights, inputs


@pytest.mark.parametrize('name', SAMPLES)
def test_a_layer_computes_what_opencv_computes(name, tmp_path, device):
    text, weights, inputs = given(name)
    function, path = load(text, weights, tmp_path)
    shapes = {name: x.shape for name, x in inputs.items()}
    (expected,) = run_opencv(inputs_text(**shapes) + f'layer {{ {text} }}', path, inputs, ['y'])
    (y,) = run_on(device, function, inputs, ['y'])
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def run_on(device, function, inputs, outputs, train=False, **options):
    """What a CaffeFunction computes on a device, as arrays of the host."""
    function.to_device(device)
    with chainlite.using_config('train', train):
        ys = function({name: device.send(x) for name, x in inputs.items()}, outputs, **options)
    assert all(isinstance(y.array, device.xp.ndarray) for y in ys)
    return [cuda.to_cpu(y.array) for y in ys]


@pytest.fixture
def run(device, tmp_path):
    def run(text, inputs, weights=(), outputs=('y',)):
        """What a layer, or several, computes in test mode."""
        path = save(network(text, {'l': weights}), tmp_path / 'net.caffemodel')
        return run_on(device, CaffeFunction(path), inputs, outputs)

    return run


def layer(text):
    return f'layer {{ name: "l" bottom: "x" top: "y" {text} }}'


# What OpenCV can not do, or does otherwise than Caffe.
FORMULAS = {
    'type: "LRN" lrn_param { local_size: 1 alpha: 0.1 k: 2 }': lambda x: x / (2 + 0.1 * x**2) ** 0.75,
    'type: "Log" log_param { base: 2 scale: 0.5 shift: 20 }': lambda x: np.log2(x / 2 + 20),
    'type: "Exp" exp_param { base: 3 }': lambda x: 3**x,
    'type: "Clip" clip_param { min: -0.5 max: 1 }': lambda x: np.clip(x, -0.5, 1),
    'type: "Swish" swish_param { beta: 2 }': lambda x: x / (1 + np.exp(-2 * x)),
    'type: "Threshold" threshold_param { threshold: 0.5 }': lambda x: (x > 0.5).astype('f'),
    'type: "ArgMax" argmax_param { axis: 1 }': lambda x: x.argmax(1)[:, None],
    'type: "Reduction" reduction_param { operation: SUM axis: 2 coeff: 3 }': lambda x: 3 * x.sum((2, 3)),
    'type: "Reduction" reduction_param { operation: ASUM axis: -1 }': lambda x: abs(x).sum(3),
    'type: "Reduction" reduction_param { operation: SUMSQ axis: 1 }': lambda x: (x**2).sum((1, 2, 3)),
    'type: "Reduction" reduction_param { operation: MEAN axis: 1 }': lambda x: x.mean((1, 2, 3)),
    'type: "MVN" mvn_param { across_channels: true normalize_variance: false }': lambda x: (
        x - x.mean((1, 2, 3), keepdims=True)
    ),
    'type: "Pooling" pooling_param { kernel_size: 2 stride: 2 round_mode: FLOOR }': lambda x: (
        x[:, :, :6, :8].reshape(2, 6, 3, 2, 4, 2).max((3, 5))
    ),
}


@pytest.mark.parametrize('text', FORMULAS)
def test_a_layer_computes_its_formula(text, run):
    x = normal(*X)
    (y,) = run(layer(text), {'x': x})
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, FORMULAS[text](x.astype('d')), rtol=1e-4, atol=1e-5)


def test_factors_are_learned_or_another_blob(run):
    x, w, b = normal(2, 3, 4), normal(3, 4), normal(3, 4)
    bottoms = {'x': x, 'w': w}
    text = 'layer { name: "l" type: "Scale" bottom: "x" bottom: "w" top: "y" scale_param { bias_term: true } }'
    np.testing.assert_allclose(run(text, bottoms, [b])[0], x * w + b, rtol=1e-5)
    np.testing.assert_allclose(run(layer('type: "Bias"'), {'x': x}, [b])[0], x + b, rtol=1e-5)
    text = 'layer { name: "l" type: "Bias" bottom: "x" bottom: "w" top: "y" }'
    np.testing.assert_allclose(run(text, bottoms)[0], x + w, rtol=1e-5)


def test_a_matrix_may_be_stored_transposed(run):
    W, x = normal(4, 3), normal(2, 4)
    text = layer('type: "InnerProduct" inner_product_param { bias_term: false transpose: true num_output: 3 }')
    np.testing.assert_allclose(run(text, {'x': x}, [W])[0], x @ W, rtol=1e-5)


@pytest.mark.parametrize('bottoms, param', [(1, 'height: 5 width: 9'), (2, ''), (1, 'shrink_factor: 2 zoom_factor: 3')])
def test_images_are_interpolated_between_their_corners(bottoms, param, tmp_path, device):
    """To a size, to that of another blob, by factors; after borders are cut off."""
    slope = np.add.outer(np.arange(7.0), 10 * np.arange(9.0)).astype('f')[None, None]
    links = ' '.join('bottom: "x"' if i == 0 else 'bottom: "like"' for i in range(bottoms))
    net = parse_layer(f'name: "l" {links} top: "y" type: "Interp" interp_param {{ {param} pad_beg: -1 pad_end: -2 }}')
    function = CaffeFunction(save(net, tmp_path / 'net.caffemodel'))
    (y,) = run_on(device, function, {'x': slope, 'like': np.zeros((1, 1, 5, 9), 'f')}, ['y'])
    shape = (4, 7) if 'zoom' in param else (5, 9)  # 4 x 6, every other one: 2 x 3, then 3 steps for each
    expected = np.add.outer(np.linspace(1, 4, shape[0]), 10 * np.linspace(1, 6, shape[1]))
    np.testing.assert_allclose(y[0, 0], expected, rtol=1e-5)


def test_rows_are_embedded(run):
    W, b = normal(5, 3), normal(3)
    (y,) = run(layer('type: "Embed"'), {'x': np.float32([[0, 4], [2, 2]])}, [W, b])
    np.testing.assert_allclose(y, W[[[0, 4], [2, 2]]] + b, rtol=1e-6)


def test_a_blob_is_sliced(run):
    x = normal(2, 6, 3)
    tops = 'layer { name: "l" type: "Slice" bottom: "x" top: "a" top: "b" top: "c" %s }'
    for param, points in ('', [2, 4]), ('slice_param { slice_point: 1 slice_point: 5 }', [1, 5]):
        for y, expected in zip(run(tops % param, {'x': x}, (), 'abc'), np.split(x, points, axis=1)):
            np.testing.assert_array_equal(y, expected)


def test_losses_and_accuracy_are_those_of_their_functions(run):
    x, t = normal(4, 3), np.int32([0, 2, 1, 2])
    two = 'layer { name: "l" bottom: "x" bottom: "t" top: "y" %s }'
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    kept = np.array([0, 2])  # labels that are not ignored
    nll = -np.log(p[np.arange(4), t])
    x2 = normal(4, 3)
    for text, other, expected in [
        ('type: "SoftmaxWithLoss"', t, nll.mean()),
        ('type: "SoftmaxWithLoss" loss_param { ignore_label: 2 }', t, nll[kept].mean()),
        ('type: "Accuracy"', t, (x.argmax(1) == t).mean()),
        ('type: "EuclideanLoss"', x2, ((x - x2) ** 2).sum() / 8),
    ]:
        (y,) = run(two % text, {'x': x, 't': other})
        np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_dropout_and_batch_normalization_follow_the_mode(tmp_path, device):
    text = layer('type: "BatchNorm"') + layer('type: "Dropout"').replace('"l"', '"d"').replace('"x"', '"y"')
    path = save(network(text, {'l': [np.zeros(2), np.ones(2), [1]]}), tmp_path / 'net.caffemodel')
    x = normal(64, 2) * 3 + 5
    function = CaffeFunction(path)
    assert function.l.decay == pytest.approx(0.999)
    np.testing.assert_allclose(run_on(device, function, {'x': x}, ['y'])[0], x, rtol=1e-4)
    (y,) = run_on(device, function, {'x': x}, ['y'], train=True)
    assert 0.3 < (y == 0).mean() < 0.7
    (z,) = run_on(device, function, {'x': x}, ['y'], train=True, disable=['d'])
    np.testing.assert_allclose((z.mean(0), z.std(0)), [[0, 0], [1, 1]], atol=1e-3)
    always = save(
        network(layer('type: "BatchNorm" batch_norm_param { use_global_stats: true }'), {'l': [[1], [4], [1]]}),
        tmp_path / 'always.caffemodel',
    )
    (y,) = run_on(device, CaffeFunction(always), {'x': x[:, :1]}, ['y'], train=True)
    np.testing.assert_allclose(y, (x[:, :1] - 1) / 2, rtol=1e-4)


@pytest.mark.parametrize('groups', [2, 8, 9])
def test_groups_are_dense_up_to_eight(groups, tmp_path, device):
    W, x = normal(groups * 2, 3, 2, 2), normal(1, groups * 3, 4, 4)
    text = layer(f'type: "Convolution" convolution_param {{ kernel_size: 2 group: {groups} bias_term: false }}')
    link = CaffeFunction(save(network(text, {'l': [W]}), tmp_path / 'net.caffemodel')).l
    assert link.groups == (groups if groups > 8 else 1)
    assert link.W.shape == (W.shape if groups > 8 else (groups * 2, groups * 3, 2, 2))
    parts = [
        np.einsum('ockl,nchwkl->nohw', w, np.lib.stride_tricks.sliding_window_view(part, (2, 2), (2, 3)))
        for w, part in zip(np.split(W, groups), np.split(x, groups, 1))
    ]
    y = link.to_device(device)(device.send(x))
    np.testing.assert_allclose(cuda.to_cpu(y.array), np.concatenate(parts, 1), rtol=1e-4, atol=1e-5)
