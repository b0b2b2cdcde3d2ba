"""Formulas in passes of oneDNN: NumPy's results, bit by bit; those of sigmoid and tanh within a few units."""

import operator
import random

import numpy as np
import pytest

import chainlite
from chainlite import using_config
from chainlite.backends import _equations
from chainlite.backends._equations import Equations, equations, maximum, minimum, sigmoid, sqrt, tanh, where
from chainlite.backends._symbols import Expr, as_expr
from chainlite.backends.onednn import arithmetic
from chainlite.backends.onednn._threads import one_thread
from chainlite.optimizers import _rule

pytestmark = pytest.mark.host('oneDNN is of the CPU')
LENGTH = 1000


@pytest.fixture(autouse=True)
def short_is_long(library, monkeypatch):
    """Blocks of which the last is shorter, without long arrays."""
    monkeypatch.setattr(_equations, 'LONG', 1)
    monkeypatch.setattr(arithmetic, 'BLOCK', 384)


@pytest.fixture
def restore_threads(library):
    n = chainlite.get_num_threads()
    yield
    chainlite.set_num_threads(n)


def arrays(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(LENGTH).astype('f') for _ in range(n)]


def in_place(formula, inputs, into, scalars, use_ideep):
    inputs = [a.copy() for a in inputs]
    with using_config('use_ideep', use_ideep), np.errstate(all='ignore'):
        formula.run_into(inputs, scalars, tuple([inputs[i] for i in into]))
    return inputs


def assert_same(formula, inputs, into, scalars):
    expected = in_place(formula, inputs, into, scalars, 'never')
    for a, e in zip(in_place(formula, inputs, into, scalars, 'auto'), expected):
        np.testing.assert_array_equal(a, e)  # which takes NaN for equal to NaN
        np.testing.assert_array_equal(np.signbit(a) & (a == 0), np.signbit(e) & (e == 0))


def rules():
    found, classes = [], [_rule.ElementwiseRule]
    while classes:
        classes += (cls := classes.pop()).__subclasses__()
        if cls.formula is not None or cls.__name__ == 'AdamRule':
            found.append(cls)
    return sorted([cls for cls in found if cls.__module__.startswith('chainlite.')], key=lambda cls: cls.__name__)


IN_NUMPY = {'SMORMS3Rule'}  # which divides a number by an array


@pytest.mark.parametrize('cls', rules(), ids=lambda cls: cls.__name__)
def test_every_update_rule(cls):
    rule = cls()
    rule.t = 3
    hyperparameters = rule.hyperparam.get_dict()
    for more in ({}, {'weight_decay_rate': 0.1}) if cls.__name__ == 'AdamRule' else ({},):
        formula, scalars = rule.step({**hyperparameters, **more}, np.dtype('f'))
        into = (0, *range(2, len(formula.inputs)))
        assert (arithmetic._plan(formula, into) is None) == (cls.__name__ in IN_NUMPY)
        assert_same(formula, [abs(a) for a in arrays(len(formula.inputs))], into, list(scalars.values()))


def random_formula(seed):
    """A formula of three arrays and two scalars, and what its results overwrite."""
    draw = random.Random(seed)
    inputs, scalars = ['x', 'y', 'z'], ['s', 't']
    known = [Expr('name', n) for n in inputs] + [Expr('scalar', n) for n in scalars] + [as_expr(0.3)]
    for _ in range(draw.randint(2, 9)):
        a, b = draw.choice(known), draw.choice(known)
        operation = draw.choice([operator.add, operator.sub, operator.mul, operator.truediv, operator.neg])
        known.append(operation(a) if operation is operator.neg else operation(a, b))
        if draw.random() < 0.3:
            known.append(draw.choice([sqrt, abs, lambda x: maximum(x, 0.5), lambda x: minimum(x, known[3])])(a))
    results = list(dict.fromkeys(known[6:]))[-draw.randint(1, 3) :]
    formula = Equations('random', inputs, scalars, {f'y{k}': e for k, e in enumerate(results)})
    return formula, tuple(draw.sample(range(3), len(results)))


SPECIAL = np.array([0, -0.0, np.inf, -np.inf, np.nan], 'f')


def test_random_formulas():
    inputs = arrays(3)
    for a, special in zip(inputs, SPECIAL[np.indices((5, 5, 5)).reshape(3, -1)]):
        a[:125] = special
    in_passes = 0
    for seed in range(400):
        formula, into = random_formula(seed)
        if all([e in _array_expressions(formula) for e in formula.outputs.values()]):
            in_passes += arithmetic._plan(formula, into) is not None
            assert_same(formula, inputs, into, (0.7, -1.3))
    assert in_passes > 100


def _array_expressions(formula):
    found = set()
    for e in formula._order:
        if e.op == 'name' or e.op not in ('scalar', 'const') and any([a in found for a in e.args]):
            found.add(e)
    return found


@equations
def _momentum(param, grad, v, *, lr, momentum):
    v = momentum * v - lr * grad
    return param + v, v


@equations
def _slope(y, gy):
    return (1 - y) * y * gy


@equations
def _exchanged(a, b):
    return b * 2, a * 3


@equations
def _larger(a, b):
    return maximum(a, b)


@equations
def _selected(a, b):
    return where(a > 0, b, 0)


@equations
def _gate(a, b):
    return sigmoid(a) * b + tanh(b)


def test_a_formula_takes_one_pass_for_each_result():
    assert len(arithmetic._plan(_momentum, (0, 2)).steps) == 2


def test_a_factor_of_the_first_array_is_no_operation():
    (only,) = arithmetic._plan(_slope, (None,)).passes
    assert [op for op, _ in only.after] == ['mul', 'mul']
    assert_same(_slope, arrays(2), (1,), ())


def test_an_input_that_is_still_needed_is_not_overwritten():
    assert arithmetic._plan(_exchanged, (0, 1)) is None
    assert arithmetic._plan(_exchanged, (None, None)) is not None
    assert_same(_exchanged, arrays(2), (0, 1), ())


def test_what_treats_nan_in_its_own_way_is_left_to_numpy():
    for formula in (_larger, _selected):
        assert arithmetic._plan(formula, (None,)) is None


def test_sigmoid_and_tanh():
    a, b = arrays(2)
    a[:5] = SPECIAL
    a[5:7] = -80, 80
    assert arithmetic._plan(_gate, (None,)) is not None
    y = np.empty_like(a)
    _gate.run_into((a, b), (), y)
    a, b = a.astype('d'), b.astype('d')
    expected = b / (1 + np.exp(-a)) + np.tanh(b)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=3e-7)


def test_in_one_thread_new_arrays_are_worth_few_passes_only(restore_threads):
    chainlite.set_num_threads(1)
    square, size = equations(lambda a, b: (a - b) * (a - b)), 1 << 30
    assert len(arithmetic._plan(square, (None,)).passes) == 2
    assert not arithmetic._plan(square, (None,)).pays(size) and arithmetic._plan(square, (0,)).pays(size)
    assert arithmetic._plan(_slope, (None,)).pays(size)


def test_tanh_alone_is_left_to_numpy():
    assert arithmetic._plan(equations(lambda x: tanh(x)), (None,)) is None
    assert arithmetic._plan(equations(lambda x: sigmoid(x)), (None,)).saves


def test_one_thread(restore_threads, library):
    chainlite.set_num_threads(3)
    with one_thread():
        assert library.omp_get_max_threads() == 1
    assert library.omp_get_max_threads() == 3


@pytest.mark.parametrize('n, in_passes', [(15, True), (40, False)])
def test_long_chains(n, in_passes):
    @equations
    def power(x, y):
        for _ in range(n):
            x = (x + y) * 0.5
        return x

    assert (arithmetic._plan(power, (0,)) is not None) == in_passes
    assert_same(power, arrays(2), (0,), ())


@pytest.mark.parametrize('dtypes', ['ddd', 'fdf', 'eee'])
def test_other_dtypes_are_left_to_numpy(dtypes, monkeypatch):
    monkeypatch.setattr(arithmetic._Plan, 'run', None)
    inputs = [a.astype(d) for a, d in zip(arrays(3), dtypes)]
    assert_same(_momentum, inputs, (0, 2), (0.1, 0.9))


def test_new_results_and_any_shape(monkeypatch):
    monkeypatch.setattr(_equations, 'BLOCK', 100)
    inputs = [np.tile(a, 2).reshape(20, 20, 5) for a in arrays(3)]
    with using_config('use_ideep', 'never'):
        expected = _momentum(*inputs, lr=0.1, momentum=0.9)
    for y, e in zip(_momentum(*inputs, lr=0.1, momentum=0.9), expected):
        assert y.shape == (20, 20, 5)
        np.testing.assert_array_equal(y, e)


def test_the_number_of_threads_changes_no_bit(restore_threads):
    inputs = [np.tile(a, 200) for a in arrays(3)]
    results = []
    for n in (1, 3, 2):
        chainlite.set_num_threads(n)
        results.append(in_place(_momentum, inputs, (0, 2), (0.1, 0.9), 'auto'))
    for result in results[1:]:
        for a, e in zip(result, results[0]):
            np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize('name', ['relu', 'sigmoid', 'tanh', 'exp', 'sqrt', 'absolute'])
def test_the_number_of_threads_changes_no_bit_of_one_operation(restore_threads, name):
    x = np.tile(arrays(1)[0], 3)
    x[: len(SPECIAL)] = SPECIAL
    results = []
    for n in (1, 3):
        chainlite.set_num_threads(n)
        with np.errstate(all='ignore'):
            results.append(getattr(chainlite.functions, name)(x).array)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(*[np.signbit(y[~np.isnan(y)]) for y in results])


def test_scalars_may_be_arrays_of_no_axes():
    assert_same(_momentum, arrays(3), (0, 2), (np.asarray(0.1), np.float64(0.9)))
