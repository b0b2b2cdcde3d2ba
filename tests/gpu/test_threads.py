"""Every function computes the same in any order of threads; the kernels in which threads share memory have no races."""

import cuda_on_cpu
import pytest
from test_ops import SAMPLES, TOLERANCE, assert_close, compute, of

import chainlite

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not cuda_on_cpu.enabled(), reason='a GPU has its own order of threads'),
]


@pytest.fixture
def device():
    return chainlite.get_device('@cupy:0')


@of((f, s) for f, s in SAMPLES if not s.random)
@pytest.mark.parametrize('order', ['reverse', 'shuffled'])
def test_order_of_threads_does_not_matter(device, sample, order):
    arrays = sample.arrays('f')
    with cuda_on_cpu.thread_order(order):
        actual = compute(sample, arrays, device)
    assert_close(actual, compute(sample, arrays), TOLERANCE['f'] * sample.tolerance)


@of(
    (f, s)
    for f, s in SAMPLES
    if f in ('connection', 'loss', 'noise', 'normalization', 'pooling') or 'softmax' in s.name
)
@pytest.mark.parametrize('dtype', ['e', 'f'])
def test_kernels_have_no_races(checked_kernels, device, sample, dtype):
    compute(sample, sample.arrays(dtype), device)
