"""Every function, forward and backward, as a CUDA graph: it computes what it does at once, or says that it cannot."""

import numpy as np
import pytest
import samples
from samples.make_values import output_gradient
from test_ops import variables

import chainlite
from chainlite.backends import cuda
from chainlite.backends.gpu import _graph

pytestmark = pytest.mark.gpu

# What looks at values on the host, sends constants there, or calls a library that cannot be captured.
NOT_CAPTURED = {
    'evaluation': 'summary summary_map summary_two summary_many precision recall f1_score',
    'array': 'permutate permutate_inverse permutate_repeated repeat repeat_axis repeat_each get_item_mask '
    'get_item_repeated scatter_add_repeated as_strided as_strided_overlapping pad_edge pad_reflect '
    'spatial_transformer_grid',
    'math': 'fft ifft fft_real_part sparse_matmul sparse_matmul_right sparse_matmul_batch det batch_det inv batch_inv '
    'cholesky einsum_three einsum_sum',
    'connection': 'deformable_convolution_2d_sampler',
    'loss': 'negative_sampling',
    'normalization': 'batch_renormalization decorrelated_batch_normalization',
}
SAMPLES = [(f, s) for f, s in samples.load(chainlite) if not s.random]


@pytest.mark.parametrize('family, sample', SAMPLES, ids=[f'{f}-{s.name}' for f, s in SAMPLES])
def test_function_is_captured(family, sample):
    device = chainlite.get_device('@cupy:0')
    function = samples.sent(sample.function, device)
    xs = variables(sample.arrays('f'), device)
    gys = []

    def run():
        ys = function(*xs)
        ys = tuple(ys) if isinstance(ys, tuple | list) else (ys,)
        results = list(ys)
        if sample.order:
            ys = [y for y in ys if y is not None and y.dtype.kind == 'f']
            if not gys:
                gys.extend([chainlite.Variable(device.send(output_gradient(cuda.to_cpu(y.array)))) for y in ys])
            results += chainlite.grad(ys, [x for x in xs if isinstance(x, chainlite.Variable)], gys)
        return [None if y is None else y.array for y in results]

    expected = [None if y is None else y.get() for y in run()]
    if sample.name in NOT_CAPTURED.get(family, '').split():
        with pytest.raises(Exception, match='captur'):
            _graph.capture(run, _graph.new_pool())
        return
    graph, actual = _graph.capture(run, _graph.new_pool())
    graph.launch()
    for y, e in zip(actual, expected):
        assert (y is None) == (e is None)
        if e is not None:
            np.testing.assert_array_equal(y.get(), e)
