"""The generator of random numbers on the GPU, and what draws from it."""

import os
import subprocess
import sys

import cuda_on_cpu
import ml_dtypes
import numpy as np
import pytest

import chainlite
from chainlite import functions as F
from chainlite.backends.cpu import noise
from chainlite.backends.gpu import _graph
from chainlite.backends.gpu.noise import generator, generators

DTYPES = ['e', ml_dtypes.bfloat16, 'f', 'd']


def philox(counter, key):
    """Philox 4x32-10 of ints; from the paper, in Python."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


@pytest.mark.host('integers of Python')
def test_the_python_twin_gives_the_known_answers():
    """Of the authors' Random123 library."""
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_uniform_numbers_are_philox(cupy):
    seed, draws = 0x1234567890ABCDEF, 2**33 + 5
    generator().state = seed, draws
    actual = noise.uniform(cupy.empty(0, 'd'), (6,)).get()
    words = [w for i in range(3) for w in philox([i, 0, 5, 2], [0x90ABCDEF, 0x12345678])]
    expected = [((a << 20 ^ b >> 12) + 0.5) / 2**52 for a, b in zip(words[::2], words[1::2])]
    assert actual.tolist() == expected
    assert generator().state == (seed, draws + 1)
    generator().state = seed, draws
    single = noise.uniform(cupy.empty(0, 'f'), (12,)).get()
    np.testing.assert_allclose(single, np.array(words) / 2**32, rtol=1e-6)


@pytest.mark.parametrize(
    'kind, mean, std', [('uniform', 0.5, 12**-0.5), ('normal', 0, 1), ('gumbel', 0.5772157, np.pi / 6**0.5)]
)
@pytest.mark.parametrize('dtype', ['e', 'f', 'd'])
def test_numbers_have_their_distribution(cupy, kind, mean, std, dtype):
    cupy.random.seed(0)
    n = 40001
    y = getattr(noise, kind)(cupy.empty(0, dtype), (n,)).get()
    assert y.dtype == np.result_type(dtype, 'f') and len(np.unique(y)) > 0.9 * n
    assert y.mean() == pytest.approx(mean, abs=4 * std / n**0.5)
    assert y.std() == pytest.approx(std, rel=0.03)
    assert abs(np.corrcoef(y[:-1], y[1:])[0, 1]) < 4 / n**0.5


@pytest.mark.parametrize('shape', [(), (0,), (3,), (5, 7), (1030,)])
@pytest.mark.parametrize('dtype', DTYPES)
def test_dropout_is_the_product_with_its_mask(cupy, shape, dtype):
    x = cupy.asarray(np.random.RandomState(0).standard_normal(shape).astype(dtype))
    x = chainlite.Variable(x)
    y, mask = F.dropout(x, 0.3, return_mask=True)
    scale = np.dtype(dtype).type(1 / 0.7)
    assert mask.dtype == y.dtype == x.dtype and mask.shape == shape
    assert set(cupy.unique(mask.astype('d')).tolist()) <= {0, float(scale)}
    np.testing.assert_array_equal(y.array.get().astype('d'), (x.array * mask).get().astype('d'))
    y.grad = cupy.ones_like(y.array)
    y.backward()
    np.testing.assert_array_equal(x.grad.get().astype('d'), mask.get().astype('d'))


def test_a_mask_that_is_set_is_used(cupy):
    node = F.noise.dropout.Dropout(0.5)
    node.mask = cupy.asarray([0, 2, 2], 'f')
    assert node.apply((cupy.ones(3, 'f'),))[0].array.tolist() == [0, 2, 2]


def test_dropout_of_nan_and_infinity_is_what_the_mask_makes_of_them(cupy):
    x = cupy.asarray([np.nan, np.inf, -np.inf, 1, 2] * 9, 'f')
    y, mask = F.dropout(x, 0.5, return_mask=True)
    np.testing.assert_array_equal(y.array.get(), (x * mask).get())
    assert (mask == 0).any() and (mask == 2).any()


def test_a_mask_depends_on_seed_and_index_alone(cupy):
    masks = []
    for dtype in DTYPES:
        wide = cupy.ones(50, dtype)
        for x in wide[:49], wide[1:], cupy.ones((7, 7), dtype).T:
            cupy.random.seed(8)
            masks.append((noise.dropout(x, 0.5)[0].ravel() != 0).get())
    assert (np.array(masks) == masks[0]).all()


@pytest.mark.parametrize('seed', [chainlite.seed, lambda n: chainlite.backends.cuda.cupy.random.seed(n)])
def test_seeds_fix_the_numbers(cupy, seed):
    x = cupy.ones(100, 'f')

    def numbers():
        return F.dropout(x).array.tolist() + F.gaussian(x, x).array.tolist() + F.rrelu(-x).array.tolist()

    seed(1)
    first, second = numbers(), numbers()
    seed(2)
    third = numbers()
    assert first != second and first != third
    seed(1)
    assert numbers() == first and numbers() == second


def test_another_random_state_of_cupy_has_a_generator_of_its_own(cupy):
    before, x = cupy.random.get_random_state(), cupy.ones(100, 'f')
    F.dropout(x)
    state = generators.state
    try:
        cupy.random.set_random_state(cupy.random.RandomState(4))
        first = F.dropout(x).array.tolist()
        cupy.random.set_random_state(cupy.random.RandomState(4))
        assert F.dropout(x).array.tolist() == first
        assert generators.state == {'0': [4, 1]}  # what a snapshot of the training would have
    finally:
        cupy.random.set_random_state(before)
    assert generators.state == state
    F.dropout(x)
    assert generators.state != state


PROGRAM = 'import cuda_on_cpu; cuda_on_cpu.install(); import chainlite; from chainlite.backends import cuda;'
PROGRAM += 'from chainlite.backends.gpu.noise import generator; cuda.available; print(generator().state[0])'


def test_the_environment_sets_the_seed(cupy):
    for variable in 'CHAINER_SEED', 'CUPY_SEED':
        environment = {k: v for k, v in os.environ.items() if k not in ('CHAINER_SEED', 'CUPY_SEED')}
        path = os.path.dirname(os.path.dirname(cuda_on_cpu.__file__))
        environment |= {variable: '77', 'PYTHONPATH': path}
        run = subprocess.run([sys.executable, '-c', PROGRAM], env=environment, capture_output=True, text=True)
        assert run.stdout.split() == ['77'], run.stderr


def test_a_graph_draws_new_numbers_each_time_it_runs(cupy):
    x = chainlite.Variable(cupy.ones(200, 'f'))

    def step():
        x.cleargrad()
        y = F.dropout(x)
        y.grad = cupy.ones_like(y.array)
        y.backward()
        return y.array, x.grad

    step()
    graph, (y, gx) = _graph.capture(step, _graph.new_pool())
    chainlite.seed(6)
    seen = []
    for _ in range(3):
        graph.launch()
        cupy.cuda.get_current_stream().synchronize()
        assert (y == gx).all()
        seen.append(y.tolist())
    assert seen[0] != seen[1] != seen[2] != seen[0] and generator().state[1] == 3
    chainlite.seed(6)
    assert [step()[0].tolist() for _ in range(3)] == seen  # and the same as without a graph


@pytest.mark.parametrize('order', cuda_on_cpu.ORDERS)
@pytest.mark.skipif(not cuda_on_cpu.enabled(), reason='a GPU has its own order of threads')
def test_order_of_threads_does_not_change_what_is_drawn(cupy, order):
    x = cupy.ones(3000, 'f')

    def numbers():
        generator().state = 5, 0
        return [a.tobytes() for a in (noise.dropout(x, 0.4)[0], noise.normal(x, (999,)), noise.gumbel(x, (99,)))]

    expected = numbers()
    with cuda_on_cpu.thread_order(order):
        assert numbers() == expected
