"""Every function is exported and computes the same in ONNX Runtime, or is refused by name; none is exported wrong."""

import re

import numpy as np
import pytest
import samples

import chainlite
import chainlite.functions as F
import chainlite.links as L

pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
from onnx_export.runtime import Function, assert_equal, run  # noqa: E402

from chainlite.onnx_chainer import export  # noqa: E402

FAMILIES = 'activation array connection loss math normalization pooling rnn'.split()
REFUSAL = re.compile(
    'is not supported: no converter|can be exported|cannot be exported|has no operator|are exported|need|are made'
)
# Shares of the samples that must be exported in opset 21.
EXPORTED = {'activation': 0.95, 'array': 0.7, 'connection': 0.75, 'loss': 0.9, 'math': 0.65, 'normalization': 0.65}
EXPORTED |= {'pooling': 0.7, 'rnn': 1}
# Functions that compute with arrays must be called by their name in the module while the model runs; these samples hold
# them. In training mode, the statistics of batch normalization are constants.
CONSTANT = re.compile('sign|floor|ceil|fix|spatial_transformer_sampler|batch_normalization(_2d|_4d|_keys)?')
# On CuPy by the newest operators alone: only how arrays come out of a model depends on the device.
ON_CUPY = pytest.param(21, '@cupy:0', marks=pytest.mark.gpu)


def outputs(function, arrays):
    ys = function(*map(chainlite.Variable, arrays))
    return [y.array for y in ys] if isinstance(ys, (tuple, list)) else [ys.array]


@pytest.mark.filterwarnings('ignore:.*results may differ', 'ignore:.*some results')
@pytest.mark.parametrize('opset, device', [(9, '@numpy'), (13, '@numpy'), (21, '@numpy'), ON_CUPY])
@pytest.mark.parametrize('family', FAMILIES)
def test_functions_compute_the_same_or_are_refused(family, opset, device):
    device = chainlite.get_device(device)
    found = [sample for _, sample in samples.load(chainlite, [family]) if sample.name != 'argmax_crf1d']
    exported = 0
    for sample in found:
        function, arrays = samples.sent(sample.function, device), device.send(sample.arrays(np.float32))
        try:
            model, inputs, expected = export(Function(function), arrays, opset_version=opset, return_named_inout=True)
        except ValueError as e:
            assert REFUSAL.search(str(e)), (sample, e)
            continue
        exported += 1
        assert_equal(run(model, dict(zip(inputs, arrays))), [y.array for y in expected.values()], 1e-4, 1e-5)
        if not CONSTANT.fullmatch(sample.name):  # other numbers: nothing that depends on the inputs is a constant
            arrays = [device.xp.roll(a, 1) if a.dtype.kind == 'f' else a for a in arrays]
            assert_equal(run(model, dict(zip(inputs, arrays))), outputs(function, arrays), 1e-3, 1e-4)
    assert opset < 21 or exported >= EXPORTED[family] * len(found), (exported, len(found))


# What onnx_chainer exports: all of it must be.
X = np.random.RandomState(0).uniform(0.1, 0.9, (2, 4, 6, 6)).astype('f')
A = np.ascontiguousarray(X[0, 0, :2, :3])
CASES = {
    'called by name: sign': (lambda x: F.sign(x - 0.5), X),
    'called by name: floor': (lambda x: F.floor(3 * x), X),
    'called by name: ceil': (lambda x: F.ceil(3 * x), X),
    'called by name: fix': (lambda x: F.fix(6 * x - 3), X),
    'called by name: logsumexp': (lambda x: F.logsumexp(x, axis=(1, 2)), X),
    'max pooling, all covered': (lambda x: F.max_pooling_2d(x, 3, 2, 1), X),
    'max pooling by 2': (lambda x: F.max_pooling_2d(x, 2), X),
    'average pooling with padding': (lambda x: F.average_pooling_2d(x, 3, 2, 1), X),
    'average pooling without its padding': (lambda x: F.average_pooling_nd(x, 3, 2, 1, pad_value=None), X),
    'deconvolution, smaller than its windows': (
        lambda x: F.deconvolution_2d(x, x.xp.ones((4, 2, 4, 4), 'f'), stride=2, pad=1, outsize=(11, 11)),
        X,
    ),
    'deconvolution, larger than its windows': (
        lambda x: F.deconvolution_2d(x, x.xp.ones((4, 2, 3, 3), 'f'), stride=2, pad=1, outsize=(12, 12)),
        X,
    ),
    'an array of the model': (lambda x: x + x.xp.arange(6, dtype='f'), X),
    'a scalar on the left': (lambda x: 2.5 - x**2, X),
    'reshape to another batch': (lambda x: F.reshape(x, (4, -1)), X),
    'a variable used twice': (lambda x: x * x + x, A),
    'argmax of all': (lambda x: F.argmax(x), A),
    'GRU over time': (lambda x: L.NStepGRU(2, 3, 4, 0.0).to_device(x.device)(None, [x, x + 1])[0], A),
}


@pytest.mark.parametrize('opset, device', [*((n, '@numpy') for n in (9, 10, 11, 12, 13, 18, 21)), ON_CUPY])
@pytest.mark.parametrize('case', CASES)
def test_exported_functions_depend_on_their_input(case, opset, device):
    device = chainlite.get_device(device)
    function, x = CASES[case]
    x = device.send(x)
    np.random.seed(0)
    model, inputs, expected = export(Function(function), x, opset_version=opset, return_named_inout=True)
    (name,) = inputs
    assert_equal(run(model, {name: x}), [y.array for y in expected.values()])
    if 'GRU' not in case:  # its weights are drawn anew
        x = device.xp.ascontiguousarray(x[::-1, ..., ::-1])
        assert_equal(run(model, {name: x}), outputs(function, [x]))


def test_dropout_in_training_mode_is_passed_by(device):
    model = export(Function(lambda x: F.dropout(x, 0.5)), device.send(X), train=True)
    np.testing.assert_array_equal(run(model, {'Input_0': X})[0], X)


def test_batch_normalization_in_training_mode_has_the_statistics_of_its_batch(device):
    link = L.BatchNormalization(4).to_device(device)
    model, _, expected = export(link, device.send(X), train=True, return_named_inout=True)
    assert {t.name for t in model.graph.initializer} == {f'param_{n}' for n in ('gamma', 'beta', 'avg_mean', 'avg_var')}
    assert_equal(run(model, {'Input_0': X}), [y.array for y in expected.values()])
