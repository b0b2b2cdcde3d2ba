"""Every differentiable function, sample by sample, on NumPy and on CuPy: values, dtypes, memory layouts, first and
second derivatives."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import samples
from samples.make_values import output_gradient, run

import chainlite
from chainlite.backends.cuda import to_cpu

SAMPLES = samples.load(chainlite)
TOLERANCE = {'e': 4e-3, ml_dtypes.bfloat16: 5e-2, 'f': 1e-5, 'd': 1e-10}
HOST = chainlite.get_device('@numpy')


def of(pairs):
    pairs = list(pairs)
    return pytest.mark.parametrize('sample', [s for _, s in pairs], ids=[f'{f}-{s.name}' for f, s in pairs])


every = of(SAMPLES)


def variables(arrays, device):
    return [chainlite.Variable(device.send(a)) if a.dtype.kind in 'fV' else device.send(a) for a in arrays]


def floating(xs):
    """The Variables among inputs or outputs that can have gradients."""
    return [x for x in xs if isinstance(x, chainlite.Variable) and x.dtype.kind in 'fV']


def outputs(sample, xs, device):
    ys = samples.sent(sample.function, device)(*xs)
    return tuple(ys) if isinstance(ys, tuple | list) else (ys,)


def compute(sample, arrays, device=HOST, order=1, again=False):
    """Outputs, gradients, and the gradients of the gradients, as NumPy arrays.

    Args:
        order: of the last derivative.
        again: whether the last derivative could be differentiated again.
    """
    xs = variables(arrays, device)
    ys = outputs(sample, xs, device)
    results = list(ys)
    for level in range(1, min(order, sample.order) + 1):
        ys = floating(ys)
        gys = [chainlite.Variable(device.send(output_gradient(to_cpu(y.array)))) for y in ys]
        ys = chainlite.grad(ys, floating(xs), gys, enable_double_backprop=again or level < min(order, sample.order))
        results += ys
    assert all(y is None or type(y.array) is device.xp.ndarray for y in results)
    return [None if y is None else to_cpu(y.array) for y in results]


def assert_close(actual, expected, tolerance):
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected):
        assert (a is None) == (e is None)
        if e is not None:
            assert a.shape == e.shape
            np.testing.assert_allclose(a.astype(e.dtype), e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('family, sample', SAMPLES, ids=[f'{f}-{s.name}' for f, s in SAMPLES])
def test_equals_chainer(device, family, sample):
    if not sample.chainer:
        pytest.skip('Chainer 7.8.1 does not compute this')
    stored = np.load(Path(__file__).parent / 'samples' / 'values' / f'{family}.npz')
    values = run(chainlite, sample, np.float32, device)
    names = [name for name in stored.files if name.startswith(sample.name + '/')]
    assert {f'{sample.name}/{key}' for key in values} == set(names)
    for key, value in values.items():
        expected = stored[f'{sample.name}/{key}']
        assert value.dtype == expected.dtype and value.shape == expected.shape
        if device == HOST or not sample.random:  # a GPU draws other numbers
            np.testing.assert_allclose(value, expected, rtol=1e-5 * sample.tolerance, atol=1e-5 * sample.tolerance)


@every
@pytest.mark.parametrize('dtype', ['e', ml_dtypes.bfloat16, 'f'], ids=['float16', 'bfloat16', 'float32'])
def test_keeps_the_dtype_and_the_inputs_and_agrees_with_float64(device, sample, dtype):
    arrays = sample.arrays(dtype)
    order = 2 if sample.random else 1
    exact = compute(sample, [a.astype('d') if a.dtype == dtype else a for a in arrays], order=order)
    sent = [device.send(a) for a in arrays]
    if device == HOST:
        for a in sent:
            a.flags.writeable = False
    actual = compute(sample, sent, device, order)
    for a, expected in zip(sent, sample.arrays(dtype)):
        np.testing.assert_array_equal(to_cpu(a), expected)
    for a, e in zip(actual, exact):
        assert a is None or a.dtype == (dtype if e.dtype.kind == 'f' else e.dtype)
    if device == HOST or not sample.random:
        tolerance = 4e-6 if (device, dtype) == (HOST, 'f') else TOLERANCE[dtype]  # a GPU's functions are less exact
        assert_close(actual, exact, tolerance * sample.tolerance)


@every
def test_takes_arrays_of_any_strides(device, sample):
    arrays = sample.arrays('d' if device == HOST else 'f')  # kernels for a GPU care for float32
    strided = []
    for a in arrays:
        wide = device.xp.full((*a.shape, 2), 7, a.dtype, order='F')
        wide[..., 0] = device.send(a)
        strided.append(wide[..., 0])
    if device == HOST or not sample.random:
        tolerance = 1e-12 if device == HOST else TOLERANCE['f'] * sample.tolerance
        assert_close(compute(sample, strided, device), compute(sample, arrays), tolerance)


def difference(f, arrays, directions, eps=1e-5):
    """Central difference of the scalar f along directions."""

    def moved(sign):
        return [np.asarray(a + sign * eps * d) if d is not None else a for a, d in zip(arrays, directions)]

    return (f(moved(1)) - f(moved(-1))) / (2 * eps)


def directions_of(arrays, seed):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(a.shape)) if a.dtype.kind == 'f' else None for a in arrays]


def along(gradients, directions):
    """The derivative along directions."""
    pairs = zip(gradients, [d for d in directions if d is not None])
    return sum(float((g * d).sum()) for g, d in pairs if g is not None)


@of((f, s) for f, s in SAMPLES if s.order)
def test_first_derivative(device, sample):
    arrays = sample.arrays()
    directions = directions_of(arrays, 1)

    def loss(arrays):
        ys = compute(sample, arrays, device if sample.random else HOST, order=0)
        return sum(float((y * output_gradient(y)).sum()) for y in ys if y.dtype.kind == 'f')

    expected = difference(loss, arrays, directions)
    for again in (False, True):  # on arrays, then on Variables
        found = compute(sample, arrays, device, again=again)
        gxs = found[-sum(d is not None for d in directions) :]
        assert along(gxs, directions) == pytest.approx(expected, rel=1e-6, abs=1e-7)
        if device != HOST and not sample.random:  # not only along a direction
            assert_close(found, compute(sample, arrays), TOLERANCE['d'] * sample.tolerance)


@of((f, s) for f, s in SAMPLES if s.order > 1)
def test_second_derivative(device, sample):
    """Of <g, first gradient>, by the inputs and by the output gradients, on arrays and on Variables."""
    arrays = sample.arrays()
    n = len(arrays)
    everything = arrays + [output_gradient(y) for y in compute(sample, arrays, order=0) if y.dtype.kind == 'f']
    directions = directions_of(everything, 2)
    weights = [d for d in directions_of(arrays, 3) if d is not None]

    def first(values, device, again):
        xs, gys = variables(values[:n], device), variables(values[n:], device)
        ys = floating(outputs(sample, xs, device))
        return floating(xs) + gys, chainlite.grad(ys, floating(xs), gys, enable_double_backprop=again)

    def loss(values):
        gxs = first(values, device if sample.random else HOST, False)[1]
        return sum(float((to_cpu(g.array) * w).sum()) for g, w in zip(gxs, weights) if g is not None)

    def second(device, third):
        wanted, gxs = first(everything, device, True)
        gxs, ws = zip(*[(g, chainlite.Variable(device.send(w))) for g, w in zip(gxs, weights) if g is not None])
        found = chainlite.grad(gxs, wanted, ws, enable_double_backprop=third)
        return [None if g is None else to_cpu(g.array) for g in found]

    expected = difference(loss, everything, directions)
    for third in (False, True):
        found = second(device, third)
        assert along(found, directions) == pytest.approx(expected, rel=1e-5, abs=1e-6)
        if device != HOST and not sample.random:
            assert_close(found, second(HOST, third), TOLERANCE['d'] * sample.tolerance)
