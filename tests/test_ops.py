"""Every differentiable function, sample by sample: values, dtypes, memory layouts, first and second derivatives."""

import sys
from pathlib import Path

import numpy as np
import pytest

import chainlite

sys.path.insert(0, str(Path(__file__).parent))

import samples  # noqa: E402
from samples.make_values import output_gradient, run  # noqa: E402

SAMPLES = samples.load(chainlite)
every = pytest.mark.parametrize('family, sample', SAMPLES, ids=[f'{f}-{s.name}' for f, s in SAMPLES])
differentiable = pytest.mark.parametrize(
    'sample', [s for _, s in SAMPLES if s.order], ids=[f'{f}-{s.name}' for f, s in SAMPLES if s.order]
)
TOLERANCE = {'e': 4e-3, 'f': 4e-6, 'd': 1e-12}


def outputs(sample, xs):
    ys = sample.function(*xs)
    return tuple(ys) if isinstance(ys, tuple | list) else (ys,)


def variables(arrays):
    return [chainlite.Variable(a) if a.dtype.kind == 'f' else a for a in arrays]


def floating(xs):
    return [x for x in xs if isinstance(x, chainlite.Variable)]


def gradients(sample, arrays, **kwargs):
    """Gradients of the float inputs for the fixed output gradients; zeros where there is none."""
    xs = variables(arrays)
    ys = [y for y in outputs(sample, xs) if y.dtype.kind == 'f']
    gys = [chainlite.Variable(output_gradient(y.array)) for y in ys]
    gxs = chainlite.grad(ys, floating(xs), gys, **kwargs)
    return [np.zeros_like(x.array) if g is None else g.array for x, g in zip(floating(xs), gxs)]


@every
def test_equals_chainer(family, sample):
    if not sample.chainer:
        pytest.skip('Chainer 7.8.1 does not compute this')
    stored = np.load(Path(__file__).parent / 'samples' / 'values' / f'{family}.npz')
    values = run(chainlite, sample, np.float32)
    names = [name for name in stored.files if name.startswith(sample.name + '/')]
    assert {f'{sample.name}/{key}' for key in values} == set(names)
    for key, value in values.items():
        expected = stored[f'{sample.name}/{key}']
        assert value.dtype == expected.dtype and value.shape == expected.shape
        np.testing.assert_allclose(value, expected, rtol=1e-5 * sample.tolerance, atol=1e-5 * sample.tolerance)


@every
@pytest.mark.parametrize('dtype', ['e', 'f'])
def test_keeps_the_dtype_and_agrees_with_float64(family, sample, dtype):
    exact = [
        y.array
        for y in outputs(sample, variables([a.astype('d') if a.dtype == dtype else a for a in sample.arrays(dtype)]))
    ]
    ys = outputs(sample, variables(sample.arrays(dtype)))
    tolerance = TOLERANCE[dtype] * sample.tolerance
    for y, expected in zip(ys, exact):
        assert isinstance(y.array, np.ndarray)
        assert y.dtype == (dtype if expected.dtype.kind == 'f' else expected.dtype)
        np.testing.assert_allclose(y.array, expected, rtol=tolerance, atol=tolerance)
    if sample.order:
        exact = gradients(sample, [a.astype('d') if a.dtype == dtype else a for a in sample.arrays(dtype)])
        for gx, expected in zip(gradients(sample, sample.arrays(dtype)), exact):
            assert gx.dtype == dtype
            np.testing.assert_allclose(gx, expected, rtol=4 * tolerance, atol=4 * tolerance)


@every
def test_takes_arrays_of_any_strides(family, sample):
    arrays = sample.arrays()
    strided = []
    for a in arrays:
        wide = np.full((*a.shape, 2), 7, a.dtype)
        wide[..., 0] = a
        strided.append(np.asfortranarray(wide)[..., 0])
    for y, expected in zip(outputs(sample, variables(strided)), outputs(sample, variables(arrays))):
        np.testing.assert_allclose(y.array, expected.array, rtol=1e-12, atol=1e-12)
    if sample.order:
        for gx, expected in zip(gradients(sample, strided), gradients(sample, arrays)):
            np.testing.assert_allclose(gx, expected, rtol=1e-12, atol=1e-12)


@every
def test_does_not_write_to_its_inputs(family, sample):
    arrays = sample.arrays()
    for a in arrays:
        a.flags.writeable = False
    outputs(sample, variables(arrays))
    if sample.order:
        gradients(sample, arrays)
    for a, expected in zip(arrays, sample.arrays()):
        np.testing.assert_array_equal(a, expected)


def difference(f, arrays, directions, eps=1e-5):
    """Central difference of the scalar f along directions."""

    def moved(sign):
        return [np.asarray(a + sign * eps * d) if d is not None else a for a, d in zip(arrays, directions)]

    return (f(moved(1)) - f(moved(-1))) / (2 * eps)


def directions_of(arrays, seed):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(a.shape)) if a.dtype.kind == 'f' else None for a in arrays]


@differentiable
def test_first_derivative(sample):
    arrays = sample.arrays()
    directions = directions_of(arrays, 1)

    def loss(arrays):
        ys = [y for y in outputs(sample, variables(arrays)) if y.dtype.kind == 'f']
        return sum(float((y.array * output_gradient(y.array)).sum()) for y in ys)

    expected = difference(loss, arrays, directions)
    along = [d for d in directions if d is not None]
    for both in (False, True):  # on arrays, then on Variables
        gxs = gradients(sample, arrays, enable_double_backprop=both)
        actual = sum(float((g * d).sum()) for g, d in zip(gxs, along))
        assert actual == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(
    'sample', [s for _, s in SAMPLES if s.order > 1], ids=[f'{f}-{s.name}' for f, s in SAMPLES if s.order > 1]
)
def test_second_derivative(sample):
    """Of <g, first gradient>, by the inputs and by the output gradients, on arrays and on Variables."""
    arrays = sample.arrays()
    n = len(arrays)
    ys = [y for y in outputs(sample, variables(arrays)) if y.dtype.kind == 'f']
    everything = arrays + [output_gradient(y.array) for y in ys]
    directions = directions_of(everything, 2)
    weights = [d for d in directions_of(arrays, 3) if d is not None]

    def first(values, again):
        xs, gys = variables(values[:n]), [chainlite.Variable(g) for g in values[n:]]
        ys = [y for y in outputs(sample, xs) if y.dtype.kind == 'f']
        gxs = chainlite.grad(ys, floating(xs), gys, enable_double_backprop=again)
        return xs, gys, gxs

    def loss(values):
        return sum(float((g.array * w).sum()) for g, w in zip(first(values, False)[2], weights) if g is not None)

    expected = difference(loss, everything, directions)
    along = [d for d in directions if d is not None]
    for third in (False, True):
        xs, gys, gxs = first(everything, True)
        pairs = [(g, chainlite.Variable(w)) for g, w in zip(gxs, weights) if g is not None]
        wanted = floating(xs) + gys
        found = chainlite.grad([g for g, _ in pairs], wanted, [w for _, w in pairs], enable_double_backprop=third)
        actual = sum(float((g.array * d).sum()) for g, d in zip(found, along) if g is not None)
        assert actual == pytest.approx(expected, rel=1e-5, abs=1e-6)
