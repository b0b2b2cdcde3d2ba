"""Convolutions and batch normalization by way of cuDNN's frontend: here a frontend whose graphs NumPy computes.

What is tested is the way there: layouts, strides, paddings, plans that are kept, settings, errors.
"""

import contextlib
import sys
import threading
import warnings

import ml_dtypes
import numpy as np
import pytest

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite.backends import cuda
from chainlite.backends._layout import as_last, is_last
from chainlite.backends.cpu import batch_normalization, conv
from chainlite.backends.cudnn import _backend, _plans

ROUNDING = {'e': 2**-9, 'E': 2**-6, 'f': 2**-18, 'd': 2**-45}


@pytest.fixture
def cudnn(cupy, monkeypatch):
    from gpu.fake_cudnn import FakeCudnn, FakeEvent

    _plans.forget()  # those of the real one, if it was there
    module = FakeCudnn()
    monkeypatch.setitem(sys.modules, 'cudnn', module)
    monkeypatch.setattr(cuda, 'cudnn_enabled', True)
    monkeypatch.setattr(_backend, '_failed', False)
    monkeypatch.setattr(cuda, 'Event', lambda: FakeEvent(module))
    monkeypatch.setattr(cupy.cuda, 'get_elapsed_time', lambda begin, end: end.time - begin.time)
    cuda._cudnn_version.cache_clear()
    yield module
    _plans.forget()
    cuda._cudnn_version.cache_clear()


def plans(*rows):
    from gpu.fake_cudnn import Plan

    return lambda: [Plan(*row) for row in rows]


def values(shape, dtype='f', seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


def check(cupy, kernel, *arguments, last=False):
    """Runs a kernel on CuPy and compares it with the reference in float64."""
    put = (lambda a: as_last(cupy.asarray(a)) if a.ndim > 2 else cupy.asarray(a)) if last else cupy.asarray
    got = kernel(*[put(a) if isinstance(a, np.ndarray) else a for a in arguments])
    wide = [a.astype('d') if isinstance(a, np.ndarray) else a for a in arguments]
    want = kernel.reference(*wide)
    rounding = ROUNDING[arguments[0].dtype.char]
    for g, w in zip(got, want) if isinstance(got, tuple) else [(got, want)]:
        np.testing.assert_allclose(cupy.asnumpy(g).astype('d'), w, rtol=rounding, atol=rounding * 8)
    return got


WINDOWS = [  # x, W, stride, pad, dilate, groups, outs
    ((2, 3, 7), (4, 3, 3), (2,), (1,), (1,), 1, (4,)),
    ((2, 3, 6, 5), (4, 3, 3, 2), (2, 1), (1, 0), (1, 1), 1, (3, 4)),
    ((2, 4, 6, 5), (6, 2, 3, 3), (1, 1), (1, 1), (1, 1), 2, (6, 5)),
    ((2, 4, 9, 9), (4, 1, 3, 3), (1, 1), (2, 2), (2, 2), 4, (9, 9)),
    ((2, 3, 6, 6), (4, 3, 3, 3), (2, 2), (0, 0), (1, 1), 1, (3, 3)),  # cover_all: the last windows reach beyond
    ((2, 3, 7, 7), (4, 3, 2, 2), (3, 3), (0, 0), (1, 1), 1, (2, 2)),  # elements that no window sees
    ((2, 2, 3, 4, 5), (3, 2, 2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 1), 1, (4, 2, 2)),
]


@pytest.mark.parametrize('dtype', ['e', ml_dtypes.bfloat16, 'f', 'd'])
@pytest.mark.parametrize('last', [False, True])
@pytest.mark.parametrize('window', WINDOWS)
def test_convolutions_agree(cupy, cudnn, dtype, last, window):
    x_shape, w_shape, stride, pad, dilate, groups, outs = window
    dtype = np.dtype(dtype)
    x, W, y = values(x_shape, dtype), values(w_shape, dtype, 1), values((2, w_shape[0], *outs), dtype, 2)
    b = values(w_shape[0], dtype, 3)
    sizes = stride, pad, dilate, groups
    result = check(cupy, conv.convolve, x, W, b, *sizes, outs, dtype, last=last)
    assert is_last(result) == (last or dtype.itemsize == 2)
    check(cupy, conv.deconvolve, y, W, None, *sizes, x_shape[2:], dtype, last=last)
    gW = check(cupy, conv.filter_grad, x, y, w_shape[2:], *sizes, dtype, last=last)
    assert gW.flags.c_contiguous
    assert cudnn.runs == ['only'] * 3


@pytest.mark.parametrize(
    'shape,axis', [((4, 3, 2, 3), (0, 2, 3)), ((4, 3, 5), (0, 2)), ((5, 3), (0,)), ((3, 2, 2), (0,))]
)
@pytest.mark.parametrize('dtype', ['e', ml_dtypes.bfloat16, 'f'])
@pytest.mark.parametrize('last', [False, True])
def test_batch_normalization_agrees(cupy, cudnn, shape, axis, dtype, last):
    x, gy = values(shape, dtype), values(shape, dtype, 1)
    keys = tuple(n for i, n in enumerate(shape) if i not in axis)
    gamma, beta, mean = values(keys, 'f', 2), values(keys, 'f', 3), values(keys, 'f', 4)
    inv_std = np.exp(values(keys, 'f', 5))
    y, *_ = check(cupy, batch_normalization.batch_normalize, x, gamma, beta, axis, 1e-3, last=last)
    assert is_last(y) == (last and len(shape) == 4)
    check(cupy, batch_normalization.normalize_grad, gy, x, gamma, mean, inv_std, axis, False, last=last)
    assert cudnn.runs == ['only'] * 2


def test_statistics_that_are_given_stay_with_our_kernel(cupy, cudnn):
    x, numbers = values((3, 2, 4, 4)), [values(2, seed=i) for i in range(3)]
    check(cupy, batch_normalization.normalize_grad, x, x, *numbers, (0, 2, 3), True)
    assert cudnn.runs == []


def convolve(cupy, shape=(2, 3, 5, 5), dtype='f', offset=0):
    x = cupy.asarray(values((shape[0] + offset, *shape[1:]), dtype))[offset:]
    W = cupy.asarray(values((4, shape[1], 3, 3), dtype, 1))
    return F.convolution_2d(x, W, pad=1).array


def test_plans_are_kept_by_shape_and_dtype(cupy, cudnn):
    for _ in range(3):
        convolve(cupy)
    assert len(cudnn.graphs) == 1 and len(cudnn.runs) == 3
    convolve(cupy, (1, 3, 5, 5))
    convolve(cupy, dtype='e')
    assert len(cudnn.graphs) == 3


def test_plans_that_were_not_used_for_long_go(cupy, cudnn, monkeypatch):
    monkeypatch.setattr(_plans, 'MOST_PLANS', 2)
    for n in 1, 2, 1, 3, 1:
        convolve(cupy, (n, 3, 5, 5))
    assert len(cudnn.graphs) == 3
    convolve(cupy, (2, 3, 5, 5))
    assert len(cudnn.graphs) == 4


def test_arrays_that_are_not_aligned_are_copied(cupy, cudnn):
    expected = convolve(cupy, (2, 1, 3, 3))
    x = cupy.concatenate([cupy.zeros(1, 'f'), cupy.asarray(values((2, 1, 3, 3))).ravel()])[1:].reshape(2, 1, 3, 3)
    assert x.data.ptr % 16
    W = cupy.asarray(values((4, 1, 3, 3), seed=1))
    cupy.testing.assert_allclose(F.convolution_2d(x, W, pad=1).array, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    'settings,expected',
    [
        ({}, 'plain'),
        ({'compute_mode': 'tf32'}, 'tensor'),
        ({'compute_mode': 'tf32', 'cudnn_deterministic': True}, 'plain'),
        ({'autotune': True}, 'fast'),
        ({'autotune': True, 'cudnn_deterministic': True}, 'plain'),
    ],
)
def test_settings_choose_the_plan(cupy, cudnn, settings, expected):
    cudnn.plans = plans(
        ('much scratch', (), 1 << 30, 0),
        ('tensor', ('TENSOR_CORE', 'NONDETERMINISTIC'), 0, 0.01),
        ('plain', (), 4096, 0.01),
        ('fast', (), 0, 0),
    )
    with contextlib.ExitStack() as stack:
        for name, value in settings.items():
            stack.enter_context(chainer.using_config(name, value))
        convolve(cupy)
        convolve(cupy)
    assert cudnn.runs[-1] == expected
    assert len(cudnn.graphs) == 1


def test_plans_that_fail_are_passed_over_when_they_are_timed(cupy, cudnn, monkeypatch):
    from gpu.fake_cudnn import Graph

    def run(graph, plan, *arguments):
        if plan.name == 'broken':
            raise RuntimeError('CUDNN_STATUS_EXECUTION_FAILED')
        original(graph, plan, *arguments)

    original = Graph._run
    monkeypatch.setattr(Graph, '_run', run)
    cudnn.plans = plans(('broken',), ('good',))
    with chainer.using_config('autotune', True):
        convolve(cupy)
    assert set(cudnn.runs) == {'good'}


def test_tensor_cores_can_be_switched_off_for_sixteen_bits(cupy, cudnn):
    cudnn.plans = plans(('tensor', ('TENSOR_CORE',)), ('plain',))
    convolve(cupy, dtype='e')
    with chainer.using_config('use_cudnn_tensor_core', 'never'):
        convolve(cupy, dtype='e')
    assert cudnn.runs == ['tensor', 'plain']


def test_the_workspace_is_limited(cupy, cudnn):
    cudnn.plans = plans(('much', (), 1 << 24), ('little', (), 1 << 10))
    convolve(cupy)
    before = cuda.get_max_workspace_size()
    cuda.set_max_workspace_size(1 << 25)
    try:
        convolve(cupy)
    finally:
        cuda.set_max_workspace_size(before)
    assert cudnn.runs == ['little', 'much']


def test_it_is_used_as_configured(cupy, cudnn):
    with chainer.using_config('use_cudnn', 'never'):
        convolve(cupy)
    assert cudnn.runs == []
    with chainer.using_config('use_cudnn', 'always'):
        convolve(cupy)
    assert cudnn.runs == ['only']


def test_what_it_has_no_plan_for_is_left_to_our_kernels(cupy, cudnn):
    expected = convolve(cupy)
    _plans.forget()
    cudnn.plans = list
    cupy.testing.assert_allclose(convolve(cupy), expected, rtol=1e-5, atol=1e-5)
    convolve(cupy)
    assert len(cudnn.graphs) == 2  # it was asked once
    cudnn.plans = plans(('only',))
    convolve(cupy, (1, 3, 5, 5))
    assert len(cudnn.runs) == 2  # and other shapes go on


def test_a_failure_is_told_once_and_our_kernels_take_over(cupy, cudnn):
    expected = convolve(cupy)
    cudnn.error = RuntimeError('CUDNN_STATUS_EXECUTION_FAILED')
    with pytest.warns(RuntimeWarning, match='cuDNN failed .*EXECUTION_FAILED.*kernels of chainlite'):
        result = convolve(cupy)
    cupy.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        convolve(cupy)
    assert len(cudnn.runs) == 1


def test_a_library_that_does_not_load_is_told_once(cupy, cudnn, monkeypatch):
    def missing():
        raise RuntimeError('Unable to find symbol cudnnGetVersion')

    monkeypatch.setattr(cudnn, 'backend_version', missing)
    with pytest.warns(RuntimeWarning, match='pip install chainlite'):
        convolve(cupy)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        convolve(cupy)
    assert cudnn.graphs == []


def test_without_memory_for_its_scratch_our_kernels_take_over(cupy, cudnn, monkeypatch):
    scratch, original = 1 << 20, cupy.cuda.alloc
    cudnn.plans = plans(('only', (), scratch))
    expected = convolve(cupy)

    def alloc(size):
        if size == scratch:
            raise cupy.cuda.memory.OutOfMemoryError(size, 0, 0)
        return original(size)

    with monkeypatch.context() as patch:
        patch.setattr(cupy.cuda, 'alloc', alloc)
        cupy.testing.assert_allclose(convolve(cupy), expected, rtol=1e-5, atol=1e-5)
    convolve(cupy)
    assert len(cudnn.runs) == 2


def test_the_runtime_info_tells_its_versions(cupy, cudnn, capsys):
    chainer.print_runtime_info()
    text = capsys.readouterr().out
    assert 'cuDNN: 9.28.0\n' in text and 'cuDNN frontend: of the tests\n' in text
    assert 'CuPy: 14.' in text and 'GPU 0: ' in text and 'CUDA driver: 1' in text


def test_work_goes_to_the_current_stream(cupy, cudnn):
    convolve(cupy)
    with cupy.cuda.Stream():  # the fake compares it with the handle's
        convolve(cupy)
    convolve(cupy)
    assert len(cudnn.graphs) == 1 and len(cudnn.handles) == 1


def test_threads_have_handles_and_plans_of_their_own(cupy, cudnn):
    convolve(cupy)

    def work():
        convolve(cupy)
        _plans.forget()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(cudnn.graphs) == 2 and len(cudnn.runs) == 2


class Network(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(3, 8, 3, pad=1, nobias=True, initialW=values((8, 3, 3, 3)))
            self.bn1 = L.BatchNormalization(8)
            self.conv2 = L.Convolution2D(8, 4, 3, stride=2, pad=1, initialW=values((4, 8, 3, 3), seed=1))
            self.up = L.Deconvolution2D(4, 2, 2, 2, initialW=values((4, 2, 2, 2), seed=2))

    def forward(self, x):
        return self.up(F.relu(self.conv2(F.relu(self.bn1(self.conv1(x))))))


@pytest.mark.parametrize('mode', [None, 'tf32'])  # both layouts
def test_a_network_trains_as_without_it(cupy, cudnn, mode):
    results = []
    for level, compute_mode in ('never', None), ('always', mode):
        with chainer.using_config('use_cudnn', level), chainer.using_config('compute_mode', compute_mode):
            net = Network()
            net.to_device('@cupy:0')
            optimizer = chainer.optimizers.MomentumSGD(0.01).setup(net)
            for step in range(2):
                loss = F.mean(net(cupy.asarray(values((4, 3, 8, 8), seed=step + 5))) ** 2)
                net.cleargrads()
                loss.backward()
                optimizer.update()
        net.to_device('@numpy')
        results.append([p.array for p in net.params()] + [net.bn1.avg_var])
    assert len(cudnn.runs) >= 2 * (3 * 3 - 1)  # the convolutions and their gradients, but for that of the input
    for expected, actual in zip(*results):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
