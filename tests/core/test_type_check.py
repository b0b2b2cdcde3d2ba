"""Type checks: expressions for users' own nodes, and the one-line checks of the package's."""

import pickle

import numpy as np
import pytest

from chainlite.utils import type_check as T

pytestmark = pytest.mark.host('checks read shapes and dtypes, which all arrays have')

x, y = T.Variable(1, 'x'), T.Variable(2, 'y')


def zeros(*shape, dtype='f'):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    'text',
    [
        *(
            'x + y',
            '1 + x',
            'x - y',
            'x * y',
            '1 / x',
            'x // y',
            'x % y',
            'x ** y',
            'x << 2',
            '3 >> x',
            'x & y',
            'x ^ y',
        ),
        *(
            '-x',
            '+x',
            '~x',
            '-(x + x)',
            '-x ** x',
            '(-x) ** x',
            'x + (x - x)',
            'x + x - x',
            'x ** x ** x',
            '(x ** x) ** x',
        ),
        *(
            'x == y',
            'x != 1',
            'x < y',
            'x >= y + 1',
            'x | y ^ x & y',
            'x.real',
            'x[0, 1:2, ...]',
            'x[::2]',
            "x.f('a', [y])",
        ),
    ],
)
def test_an_expression_prints_as_it_was_written(text):
    assert str(eval(text)) == text


@pytest.mark.parametrize(
    'text', ['x + y * 3', '-x ** y', '7 % (x + y)', '5 // y', '1 << y', '~x & 6', 'x | y ^ 3', '2 - x']
)
def test_an_expression_evaluates_as_python_does(text):
    assert T.eval(eval(text)) == eval(text, {'x': 1, 'y': 2})


def test_values_inside_lists_and_tuples_are_found():
    assert T.eval(T.Constant([1, (2,)]) == [x, (y,)])
    assert T.eval(T.Variable(sum, 'sum')([x, y])) == 3


def test_an_expression_has_no_truth_value():
    with pytest.raises(RuntimeError, match='cannot be evaluated as bool'):
        bool(x == y)


def test_expect_shows_condition_and_values():
    with pytest.raises(T.InvalidType) as e:
        T.expect(x < y, x > y + 1)
    assert str(e.value) == 'Expect: x > y + 1\nActual: 1 <= 3'
    T.expect(x != y)


def test_the_function_is_named_where_there_is_one():
    class Node:
        label = 'MyNode'

    (in_type,) = T.get_types((zeros(2, 3),), 'in_types', False)
    with pytest.raises(T.InvalidType) as e, T.get_function_check_context(Node()):
        T.expect(in_type.shape[1] == 4)
    assert str(e.value) == (
        '\nInvalid operation is performed in: MyNode (Forward)\n\nExpect: in_types[0].shape[1] == 4\nActual: 3 != 4'
    )


def test_types_of_arrays_carry_names():
    types = T.get_types((zeros(2, 3), zeros(4, dtype='i')), 'in_types', False)
    assert T.eval(types.size()) == 2
    T._argname(types, ('x', 't'))
    assert [str(types[0].ndim), T.eval(types[0].size), T.eval(types[1].dtype)] == ['x.ndim', 6, np.int32]
    with pytest.raises(T.InvalidType, match='Invalid number of arguments'):
        T._argname(types, ('x',))
    assert T.eval(T.get_types((zeros(2),), 'a', False, shapes=((5,),))[0].shape) == (5,)


def test_the_light_mode_works_on_the_arrays():
    arrays = (zeros(2, 3),)
    with T.light_mode:
        assert T.in_light_mode()
        types = T.get_light_types(arrays)
        assert types[0] is arrays[0] and types.size() == 1
        T.expect(types[0].ndim == 2)
        assert (T.prod([2, 3]), T.make_variable(7, 'n'), T.eval(8)) == (6, 7, 8)
        with pytest.raises(T.InvalidType):
            T.expect(True, types[0].ndim == 3)
    assert not T.in_light_mode()
    assert str(T.prod(x)) == 'prod(x)'


def test_broadcast_shapes():
    T.expect_broadcast_shapes(T.Variable((2, 1), 'a'), T.Variable((3,), 'b'))
    with pytest.raises(T.InvalidType) as e:
        T.expect_broadcast_shapes(T.Variable((2, 3), 'a'), T.Variable((3, 3), 'b'))
    assert str(e.value) == 'cannot broadcast inputs of the following shapes:\na = (2, 3)\nb = (3, 3)'


def test_same_types():
    assert T.same_types(zeros(1), zeros(1, dtype='i'))
    assert not T.same_types(zeros(1), 1)


def test_invalid_type_survives_pickling():
    error = T.InvalidType('a', 'b', function='F')
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.args, copy.expect, copy.actual) == (error.args, 'a', 'b')


# ---- one-line checks -------------------------------------------------------------------------------------------------

CONV = 'x: f (n c *d), W: f (m c *k), b?: =x (m)'


@pytest.mark.parametrize(
    'spec, arrays',
    [
        (CONV, [zeros(2, 3, 8, 8), zeros(4, 3, 3, 3)]),
        (CONV, [zeros(2, 3, 8), zeros(4, 3, 3), zeros(4)]),
        ('x: fi', [zeros(2, dtype='q')]),
        ('x: *, y: * (_ 3)', [zeros(2, dtype='?'), zeros(9, 3)]),
        ('x: f (*r 3 k), y: f (*r k)', [zeros(1, 2, 3, 4), zeros(1, 2, 4)]),
        ('x: f (*_), y: f (*_)', [zeros(1, 2), zeros()]),
        ('x: f (), *xs: =x (n _ *r)', [zeros(), zeros(2, 1, 5), zeros(2, 3, 5)]),
        ('x: f (), *xs: =x', [zeros()]),
    ],
)
def test_a_check_passes_what_fits(spec, arrays):
    T.compile_check(spec)('F', arrays)


@pytest.mark.parametrize(
    'spec, arrays, expect, actual',
    [
        (CONV, [zeros(2, 3, 8), zeros(4, 5, 3)], 'x.shape[1] == W.shape[1]', '3 != 5'),
        (CONV, [zeros(2, 3, 8), zeros(4, 3, 3), zeros(5)], 'W.shape[0] == b.shape[0]', '4 != 5'),
        (CONV, [zeros(2, 3, 8), zeros(4, 3, 3), zeros(4, dtype='d')], 'b.dtype == x.dtype', 'float64 != float32'),
        (CONV, [zeros(2, 3, dtype='i'), zeros(2, 3)], 'x.dtype.kind == f', 'i != f'),
        (CONV, [zeros(2), zeros(2)], 'x.ndim >= 2', '1 < 2'),
        (CONV, [zeros(2, 3), zeros(4, 3), zeros(4, 1)], 'b.ndim == 1', '2 != 1'),
        (CONV, [zeros(2, 3)], 'in_types.size >= 2', '1 < 2'),
        (CONV, [zeros(2, 3)] * 4, 'in_types.size <= 3', '4 > 3'),
        ('x: f', [zeros(1)] * 2, 'in_types.size == 1', '2 != 1'),
        ('x: fi', [zeros(2, dtype='?')], "x.dtype.kind in 'fi'", "b not in 'fi'"),
        ('x: f (3)', [zeros(4)], 'x.shape[0] == 3', '4 != 3'),
        (
            'x: f (*r 3 k), y: f (*r k)',
            [zeros(1, 2, 3, 4), zeros(2, 2, 4)],
            'x.shape[:-2] == y.shape[:-1]',
            '(1, 2) != (2, 2)',
        ),
        ('x: f (*r 3 k), y: f (*r k)', [zeros(1, 2, 3, 4), zeros(1, 2, 5)], 'x.shape[-1] == y.shape[-1]', '4 != 5'),
        ('*xs: f (n *d)', [zeros(2, 3), zeros(2, 4)], 'in_types[0].shape[1:] == in_types[1].shape[1:]', '(3,) != (4,)'),
    ],
)
def test_a_check_says_what_does_not_fit(spec, arrays, expect, actual):
    with pytest.raises(T.InvalidType) as e:
        T.compile_check(spec)('Label', arrays)
    assert (e.value.expect, e.value.actual) == (expect, actual)
    assert str(e.value).endswith(
        f'\nInvalid operation is performed in: Label (Forward)\n\nExpect: {expect}\nActual: {actual}'
    )


def test_bfloat16_is_a_float():
    ml_dtypes = pytest.importorskip('ml_dtypes')
    check = T.compile_check('x: f (2)')
    check('F', [np.zeros(2, ml_dtypes.bfloat16)])
    with pytest.raises(T.InvalidType):
        check('F', [np.zeros(3, ml_dtypes.bfloat16)])
    with pytest.raises(T.InvalidType):
        check('F', [np.zeros(2, 'V2')])
    (x,) = T.get_types((np.zeros(2, ml_dtypes.bfloat16),), 'in_types', False)
    T.expect(x.dtype.kind == 'f')


@pytest.mark.parametrize('spec', ['x', 'x: q', 'x: f (n', 'x: f (*a *b)', 'x: f y: f', 'x: f (n-1)'])
def test_a_check_that_cannot_be_read_is_refused(spec):
    with pytest.raises(ValueError, match='cannot read'):
        T.compile_check(spec)
