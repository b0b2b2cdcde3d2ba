"""Formulas: traced, differentiated, run on NumPy in every mode; and their CUDA text, compiled as C++ and run."""

import ctypes
import importlib
import pkgutil
import subprocess
import threading

import numpy as np
import pytest
from comparing import assert_allclose, assert_array_equal
from side_by_side import side_by_side

import chainlite
from chainlite._elementwise import Elementwise
from chainlite.backends import _equations
from chainlite.backends._equations import BLOCK, equations, exp, maximum, minimum, sqrt, tanh, where


@equations
def adam(param, grad, m, v, *, rate, beta1, beta2, eps):
    m = m + (1 - beta1) * (grad - m)
    v = v + (1 - beta2) * (grad * grad - v)
    return param - rate * m / (sqrt(v) + eps), m, v


SCALARS = dict(rate=0.01, beta1=0.9, beta2=0.99, eps=1e-8)


def adam_by_hand(p, g, m, v):
    m = m + (1 - 0.9) * (g - m)
    v = v + (1 - 0.99) * (g * g - v)
    return p - 0.01 * m / (np.sqrt(v) + 1e-8), m, v


def positive(*shape, dtype='d', n=1, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 2, shape).astype(dtype) for _ in range(n)]


@pytest.mark.parametrize('dtype, tolerance', [('e', 2e-3), ('f', 1e-6), ('d', 1e-13)])
@pytest.mark.parametrize('shape', [(), (0, 3), (7, 3), (BLOCK * 2 + 5,)])
def test_new_arrays_and_in_place_agree_with_the_mathematics(device, shape, dtype, tolerance):
    arrays = positive(*shape, dtype=dtype, n=4)
    expected = adam_by_hand(*[a.astype('d') for a in arrays])
    arrays = device.send(arrays)
    new = adam(*arrays, **SCALARS)
    for y, z in zip(new, expected):
        assert isinstance(y, device.xp.ndarray) and y.dtype == dtype and y.shape == shape
        assert_allclose(y, z, rtol=tolerance, atol=tolerance)
    param, grad, m, v = arrays
    adam(param, grad, m, v, **SCALARS, out=(param, m, v))
    for y, z in zip((param, m, v), new):
        assert_array_equal(y, z)


def test_results_that_replace_each_others_inputs_are_computed_first(xp):
    @equations
    def exchange(a, b):
        return b * 1, a * 1

    a, b = xp.arange(3.0), xp.arange(3.0) + 10
    exchange(a, b, out=(a, b))
    assert_array_equal(a, [10, 11, 12])
    assert_array_equal(b, [0, 1, 2])


def test_in_place_on_strided_arrays(device):
    arrays = positive(6, 4, n=4)
    views = [device.send(np.repeat(a, 2, axis=1))[:, ::2] for a in arrays]
    adam(*views, **SCALARS, out=(views[0], views[2], views[3]))
    for y, z in zip((views[0], views[2], views[3]), adam_by_hand(*arrays)):
        assert_allclose(y, z, rtol=1e-13)


def test_sixteen_bit_parameters_with_float32_state(device):
    param, grad = positive(5, dtype='e', n=2)
    m, v = positive(5, dtype='f', n=2, seed=1)
    expected = adam_by_hand(*[a.astype('d') for a in (param, grad, m, v)])
    param, grad, m, v = device.send((param, grad, m, v))
    adam(param, grad, m, v, **SCALARS, out=(param, m, v))
    assert (param.dtype, m.dtype) == (np.float16, np.float32)
    assert_allclose(param, expected[0], rtol=1e-3)
    assert_allclose(v, expected[2], rtol=1e-6)


def test_arrays_broadcast(device):
    @equations
    def f(a, b):
        return tanh(a) * exp(b) + b

    a, b = np.linspace(-1, 1, 3).reshape(3, 1), np.linspace(0, 1, 4)
    assert_allclose(f(*device.send((a, b))), np.tanh(a) * np.exp(b) + b, rtol=1e-14)


def test_scalars_take_the_dtype_of_the_arrays(xp):
    @equations
    def f(x, *, a):
        return x * a + 0.5

    assert f(xp.ones(3, 'e'), a=np.float64(2)).dtype == np.float16
    assert f(xp.ones(3, 'f'), a=2).dtype == np.float32
    assert f(xp.ones(3, 'f'), a=np.array(2.0)).dtype == np.float32


def test_integers_stay_integers(xp):
    @equations
    def f(x, y):
        return maximum(x, 0) * 3 - y

    for dtype in 'bBhiq':
        x, y = xp.array([-5, 2, 7]).astype(dtype), xp.array([1, 2, 3], dtype)
        z = f(x, y)
        assert z.dtype == dtype
        assert_array_equal(z, xp.maximum(x, xp.zeros_like(x)) * 3 - y)


def test_selection_does_not_spread_infinities(device):
    @equations
    def f(x):
        return where(x > 0, x, 0)

    x = np.full(1000, -np.inf, 'f')
    x[:500] = np.inf
    send = device.send
    assert_array_equal(f(send(x)), np.where(x > 0, x, 0))
    gradient = f.gradient(('x',), ('y',))
    assert_array_equal(gradient(send(x), send(np.full(1000, np.inf, 'f'))), np.where(x > 0, np.inf, 0))


def test_nan_stays_nan(xp):
    @equations
    def f(x):
        return minimum(maximum(x, 0), 1)

    assert xp.isnan(f(xp.array([np.nan], 'f')))[0]


@pytest.mark.host('formulas are read, not computed')
def test_branches_in_python_are_refused():
    with pytest.raises(TypeError, match='where'):

        @equations
        def f(x):
            return x if x > 0 else -x


@pytest.mark.host('formulas are read, not computed')
def test_gradients_read_outputs_instead_of_computing_them_again():
    @equations
    def f(x):
        return tanh(x)

    assert f.gradient(('x',), ('y',)).inputs == ('y', 'gy')


def every_formula():
    """The equations of all elementwise functions, with their first and second derivatives."""
    for module in pkgutil.walk_packages(chainlite.functions.__path__, 'chainlite.functions.'):
        importlib.import_module(module.name)

    def subclasses(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from subclasses(sub)

    found = {}
    for cls in subclasses(Elementwise):
        if getattr(cls, 'formula', None) is not None and cls.__module__.startswith('chainlite.'):
            eqs = cls.equations()
            found[f'{cls.__module__}.{cls.__name__}'] = eqs
            first = eqs.gradient(eqs.inputs, tuple(eqs.outputs))
            found[f'{cls.__module__}.{cls.__name__}Grad'] = first
            if first.inputs:
                found[f'{cls.__module__}.{cls.__name__}GradGrad'] = first.gradient(first.inputs, tuple(first.outputs))
    return {name: e for name, e in found.items() if e.inputs}


@pytest.mark.host('the text for the device is compiled for the host')
def test_the_cuda_text_computes_what_numpy_computes(tmp_path):
    formulas = every_formula()
    assert len(formulas) > 80
    text = [
        '#include <cmath>\n#include <algorithm>\nusing namespace std;\n#define __device__\ntypedef double float64;\n'
        'inline double rsqrt(double x) { return 1 / sqrt(x); }' + _equations.CUDA_PREAMBLE
    ]
    double = np.dtype('d')
    for k, e in enumerate(formulas.values()):
        ins, outs, body, *_ = e.cuda_source((double,) * len(e.inputs), (double,) * len(e.outputs))
        ins, outs = [p.split()[1] for p in ins.split(', ') if p], [p.split()[1] for p in outs.split(', ')]
        arguments = ', '.join([f'const double* p_{n}' for n in ins] + [f'double* p_{n}' for n in outs] + ['long n'])
        loads = ''.join(f'double {n} = p_{n}[i]; ' for n in ins) + ''.join(f'double {n}; ' for n in outs)
        stores = ''.join(f'p_{n}[i] = {n}; ' for n in outs)
        text.append(
            f'extern "C" void k{k}({arguments}) {{ for (long i = 0; i < n; ++i) {{ {loads} {body} {stores} }} }}'
        )
    source, library = tmp_path / 'formulas.cc', tmp_path / 'formulas.so'
    source.write_text('\n'.join(text))
    subprocess.run(['g++', '-O1', '-shared', '-fPIC', '-w', str(source), '-o', str(library)], check=True)
    library = ctypes.CDLL(str(library))
    n = 300
    for k, (name, e) in enumerate(formulas.items()):
        rng = np.random.default_rng(k)
        arrays = [rng.uniform(0.1, 0.9, n) for _ in e.inputs]
        scalars = [0.3 + 0.2 * i for i in range(len(e.scalars))]
        if 'where' in name:
            continue  # its condition is a bool array
        expected = e.run(arrays, scalars)
        columns = arrays + [np.full(n, s) for s in scalars]
        actual = [np.empty(n) for _ in e.outputs]
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in columns + actual]
        getattr(library, f'k{k}')(*pointers, ctypes.c_long(n))
        for y, z in zip(actual, expected):
            np.testing.assert_allclose(y, z, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.host('the threads of Python')
def test_threads_that_trace_at_once_share_symbols():
    n, barrier = 4000, threading.Barrier(4)
    made = [None] * 4

    def work(i):
        barrier.wait()
        made[i] = [_equations.Expr('name', f'x of all threads {k}') for k in range(n)]

    side_by_side(work, range(4))
    assert all(len({id(x) for x in same}) == 1 for same in zip(*made, strict=True))
