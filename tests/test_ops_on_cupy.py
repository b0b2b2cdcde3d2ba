"""Every function on CuPy against the same on NumPy: values, first and second derivatives, dtypes, memory layouts."""

import types

import cuda_on_cpu
import ml_dtypes
import numpy as np
import pytest
import samples
from samples.make_values import output_gradient

import chainlite
from chainlite.backends import cuda

pytestmark = pytest.mark.gpu
SAMPLES = samples.load(chainlite)
TOLERANCE = {'e': 4e-3, 'f': 1e-5, 'd': 1e-10, ml_dtypes.bfloat16: 5e-2}


def of(pairs):
    pairs = list(pairs)
    return pytest.mark.parametrize('sample', [s for _, s in pairs], ids=[f'{f}-{s.name}' for f, s in pairs])


def is_random(sample):
    return getattr(sample.function, 'random', False)


def on_gpu(x):
    """Sends arrays to the GPU, also those in lists, tuples and dictionaries and those that a function encloses."""
    if isinstance(x, np.ndarray):
        return cuda.to_gpu(x)
    if isinstance(x, list | tuple):
        return type(x)(map(on_gpu, x))
    if isinstance(x, dict):
        return {key: on_gpu(value) for key, value in x.items()}
    if isinstance(x, types.FunctionType) and x.__closure__ and not x.__module__.startswith('chainlite'):
        cells = tuple(types.CellType(on_gpu(cell.cell_contents)) for cell in x.__closure__)
        moved = types.FunctionType(x.__code__, x.__globals__, x.__name__, on_gpu(x.__defaults__), cells)
        moved.__kwdefaults__ = x.__kwdefaults__
        return moved
    return x


def compute(sample, arrays, send=lambda x: x, order=1):
    """Outputs, gradients, and the gradients of the gradients, as NumPy arrays; `send` puts arrays on the device."""
    function = send(sample.function)
    kind = type(send(np.zeros(1)))
    xs = [chainlite.Variable(send(a)) if a.dtype.kind in 'fV' else send(a) for a in arrays]
    ys = function(*xs)
    ys = tuple(ys) if isinstance(ys, tuple | list) else (ys,)
    results = list(ys)
    for level in range(min(order, sample.order)):
        wanted = [x for x in xs if isinstance(x, chainlite.Variable)]
        ys = [y for y in ys if y is not None and y.dtype.kind in 'fV']
        gys = [chainlite.Variable(send(output_gradient(cuda.to_cpu(y.array)))) for y in ys]
        again = level + 1 < min(order, sample.order)
        ys = chainlite.grad(ys, wanted, gys, enable_double_backprop=again)
        results += ys
    for y in results:
        assert y is None or type(y.array) is kind
    return [None if y is None else cuda.to_cpu(y.array) for y in results]


def assert_close(actual, expected, tolerance):
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected):
        assert (a is None) == (e is None)
        if e is not None:
            assert a.shape == e.shape
            np.testing.assert_allclose(a.astype(e.dtype), e, rtol=tolerance, atol=tolerance)


@of((f, s) for f, s in SAMPLES if not is_random(s))
@pytest.mark.parametrize('dtype', ['e', ml_dtypes.bfloat16, 'f'], ids=['float16', 'bfloat16', 'float32'])
def test_cupy_agrees_with_numpy(sample, dtype):
    arrays = sample.arrays(dtype)
    exact = compute(sample, [a.astype('d') if a.dtype == dtype else a for a in arrays])
    actual = compute(sample, arrays, on_gpu)
    for a, e in zip(actual, exact):
        assert a is None or a.dtype == (dtype if e.dtype.kind == 'f' else e.dtype)
    assert_close(actual, exact, TOLERANCE[dtype] * sample.tolerance)


@of((f, s) for f, s in SAMPLES if s.order > 1 and not is_random(s))
def test_second_derivatives_on_cupy_agree_with_numpy(sample):
    arrays = sample.arrays()
    actual, expected = compute(sample, arrays, on_gpu, order=2), compute(sample, arrays, order=2)
    assert_close(actual, expected, TOLERANCE['d'] * sample.tolerance)


@of((f, s) for f, s in SAMPLES if not is_random(s))
def test_cupy_takes_arrays_of_any_strides(sample):
    import cupy

    def strided(x):
        if isinstance(x, np.ndarray):
            wide = cupy.full((*x.shape, 2), 7, x.dtype, order='F')
            wide[..., 0] = cupy.asarray(x)
            return wide[..., 0]
        return on_gpu(x)

    arrays = sample.arrays('f')
    assert_close(compute(sample, arrays, strided), compute(sample, arrays), TOLERANCE['f'] * sample.tolerance)


@of((f, s) for f, s in SAMPLES if is_random(s))
def test_gradient_of_a_random_function_on_cupy_belongs_to_its_values(sample):
    """The same seed gives the same values, and the gradient is that of the function with these random numbers."""
    arrays, eps = sample.arrays(), 1e-6
    rng = np.random.default_rng(0)
    directions = [rng.standard_normal(a.shape) for a in arrays]

    def outputs(sign):
        moved = [np.asarray(a + sign * eps * d) for a, d in zip(arrays, directions)]
        return compute(sample, moved, on_gpu, order=0)

    found = compute(sample, arrays, on_gpu)
    ys, gxs = found[: -len(arrays)], found[-len(arrays) :]
    assert_close(outputs(0), ys, 0)
    expected = sum(((p - m) * output_gradient(p)).sum() / (2 * eps) for p, m in zip(outputs(1), outputs(-1)))
    assert sum((g * d).sum() for g, d in zip(gxs, directions)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@of((f, s) for f, s in SAMPLES if is_random(s))
@pytest.mark.parametrize('dtype', ['e', ml_dtypes.bfloat16, 'f'], ids=['float16', 'bfloat16', 'float32'])
def test_random_function_on_cupy_keeps_the_dtype(sample, dtype):
    found = compute(sample, sample.arrays(dtype), on_gpu, order=2)
    assert {a.dtype for a in found if a is not None} == {np.dtype(dtype)}


on_stand_in = pytest.mark.skipif(not cuda_on_cpu.enabled(), reason='a GPU has its own order of threads')


@on_stand_in
@of((f, s) for f, s in SAMPLES if not is_random(s))
@pytest.mark.parametrize('order', ['reverse', 'shuffled'])
def test_order_of_threads_does_not_matter(sample, order):
    arrays = sample.arrays('f')
    with cuda_on_cpu.thread_order(order):
        actual = compute(sample, arrays, on_gpu)
    assert_close(actual, compute(sample, arrays), TOLERANCE['f'] * sample.tolerance)


@on_stand_in
@of(
    (f, s)
    for f, s in SAMPLES
    if f in ('connection', 'loss', 'noise', 'normalization', 'pooling') or 'softmax' in s.name
)
@pytest.mark.parametrize('dtype', ['e', 'f'])
def test_kernels_have_no_races(checked_kernels, sample, dtype):
    compute(sample, sample.arrays(dtype), on_gpu)
