"""CUDA graphs: what is captured computes, when it is launched, what it would have computed at once."""

import functools
import gc

import cuda_on_cpu
import numpy as np
import pytest

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite.backends.cpu.product import product
from chainlite.backends.gpu import _graph
from chainlite.backends.gpu._sort import argsort, bitonic_argsort

pytestmark = pytest.mark.gpu


def captured(cupy, function):
    """A graph of `function`, which has run before, and its result."""
    function()
    return _graph.capture(function, _graph.new_pool())


def test_nothing_runs_before_the_launch_and_each_launch_reads_anew(cupy):
    x, y = cupy.arange(4.0), cupy.zeros(4)

    def double():
        y[...] = x * 2

    graph, _ = captured(cupy, double)
    y.fill(0)
    assert (y.get() == 0).all()
    graph.launch()
    assert y.get().tolist() == [0, 2, 4, 6]
    x += 1
    graph.launch()
    assert y.get().tolist() == [2, 4, 6, 8]


def test_memory_of_a_graph_is_not_given_to_others(cupy):
    x = cupy.arange(64.0)
    graph, y = captured(cupy, lambda: ((x + 1) * 2 - x) / 2)
    others = [cupy.zeros(64) for _ in range(8)]
    graph.launch()
    np.testing.assert_array_equal(y.get(), (np.arange(64) + 2) / 2)
    assert not any(other.any() for other in others)


def test_graphs_of_one_pool_share_memory(cupy):
    def double_and_add(x):
        return ((x * 2) * 2) * 2 + 1

    pool, x = _graph.new_pool(), cupy.ones(1 << 12)
    double_and_add(x)
    first, y = _graph.capture(functools.partial(double_and_add, x), pool)
    used = pool.memory.total_bytes()
    second, z = _graph.capture(functools.partial(double_and_add, y), pool)
    assert pool.memory.total_bytes() <= used + z.nbytes
    for _ in range(2):
        first.launch()
        second.launch()
        assert (z == 73).all() and (y == 9).all()


@pytest.mark.parametrize('read', [float, lambda x: x.get(), lambda x: x.nonzero(), lambda x: np.asarray(x.tolist())])
def test_looking_at_a_value_is_an_error_and_what_follows_works(cupy, read):
    x = cupy.ones(())
    with pytest.raises(Exception, match='captur'):
        _graph.capture(lambda: read(x * 2), _graph.new_pool())
    gc.collect()
    assert not _graph.is_capturing()
    assert float(x * 2) == 2


@pytest.mark.parametrize('dtype', ['e', 'f', 'd'])
@pytest.mark.parametrize(
    'a, b', [((2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (2, 5, 3, 4)), ((1, 3), (3, 1))]
)
def test_products_are_captured_of_any_strides(cupy, dtype, a, b):
    a, b = [np.random.RandomState(0).uniform(-1, 1, shape).astype(dtype) for shape in (a, b)]
    expected = np.matmul(a.astype('d'), b.astype('d'))
    for turn_a in (False, True):
        for turn_b in (False, True):
            x, y = cupy.asarray(a), cupy.asarray(b)
            x = cupy.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if turn_a else x
            y = cupy.asfortranarray(y)[..., ::-1][..., ::-1] if turn_b else y
            graph, z = captured(cupy, functools.partial(product, x, y))
            graph.launch()
            assert z.dtype == dtype
            np.testing.assert_allclose(z.get(), expected, rtol=2e-3 if dtype == 'e' else 1e-5, atol=1e-3)


@pytest.mark.parametrize('n', [0, 1, 2, 7, 2047, 2048, 2049, 20000])
def test_order_of_numbers_is_captured_and_stable(cupy, n):
    keys = np.random.RandomState(n).randint(-5, 50, n).astype('i')
    x = cupy.asarray(keys)
    np.testing.assert_array_equal(argsort(x).get(), keys.argsort(kind='stable'))
    bitonic_argsort(x)
    graph, order = captured(cupy, functools.partial(bitonic_argsort, x))
    graph.launch()
    np.testing.assert_array_equal(order.get(), keys.argsort(kind='stable'))


def test_order_of_numbers_is_the_same_with_threads_in_any_order(cupy):
    if not cuda_on_cpu.enabled():
        pytest.skip('the order of threads is set on the stand-in')
    x = cupy.asarray(np.random.RandomState(0).randint(0, 9, 5000).astype('i'))
    with cuda_on_cpu.checks():
        bitonic_argsort(x)
    for order in cuda_on_cpu.ORDERS:
        with cuda_on_cpu.thread_order(order):
            np.testing.assert_array_equal(bitonic_argsort(x).get(), x.get().argsort(kind='stable'))


def test_products_of_two_dtypes_have_the_larger(cupy):
    a, b = cupy.ones((2, 3), 'e'), cupy.full((3, 4), 1 + 2**-20, 'f')
    graph, z = captured(cupy, functools.partial(product, a, b))
    graph.launch()
    assert z.dtype == 'f'
    np.testing.assert_allclose(z.get(), 3 * (1 + 2**-20), rtol=1e-7)


def test_forward_and_backward_of_a_convolutional_network_are_captured(cupy):
    with chainer.using_device('@cupy:0'):
        model = L.Classifier(
            chainer.Sequential(
                L.Convolution2D(1, 3, 3), L.BatchNormalization(3), F.relu, lambda h: F.max_pooling_2d(h, 2), L.Linear(4)
            )
        )
        model.to_device('@cupy:0')
        x, t = cupy.asarray(np.random.rand(5, 1, 8, 8).astype('f')), cupy.asarray(np.array([0, 1, -1, 3, 1], 'i'))

        def step():
            loss = model(x, t)
            model.cleargrads()
            loss.backward()
            return loss.array

        loss = step()
        expected = [loss.get(), *[param.grad.get() for param in model.params()]]
        graph, loss = captured(cupy, step)
        graph.launch()
        for actual, wanted in zip([loss, *[param.grad for param in model.params()]], expected):
            np.testing.assert_array_equal(actual.get(), wanted)
