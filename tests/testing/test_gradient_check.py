"""gradient_check finds wrong gradients and lets right ones pass."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite import gradient_check
from chainlite.backends.cuda import to_cpu
from chainlite.gradient_check import NondifferentiableError, check_backward, check_double_backward, numerical_grad

pytestmark = pytest.mark.usefixtures('on_device')
xp = np  # the device's, when tests run


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)


def ones(*shape, dtype='d'):
    return xp.ones(shape, dtype)


def rand(*shape):
    return xp.asarray(np.random.rand(*shape))


class Square(chainlite.FunctionNode):
    """x ** 2 with errors as wanted."""

    def __init__(self, factor=2, second=1):
        self.factor, self.second = factor, second

    def forward(self, inputs):
        self.retain_inputs((0,))
        return (xp.asarray(inputs[0] * inputs[0]),)

    def backward(self, indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        return (Double(self.second).apply((x,))[0] * (self.factor / 2) * grad_outputs[0],)


class Double(chainlite.FunctionNode):
    """2 x, whose gradient is wrong by a factor."""

    def __init__(self, second):
        self.second = second

    def forward(self, inputs):
        return (xp.asarray(inputs[0] * 2),)

    def backward(self, indexes, grad_outputs):
        return (grad_outputs[0] * (2 * self.second),)


def square(x, **errors):
    return Square(**errors).apply((x,))[0]


# -- numerical_grad ----------------------------------------------------------------------------------------------------


def test_numerical_grad_of_several_outputs_and_inputs():
    x, y = rand(2, 3), rand(2, 3)
    gu, gv = rand(2, 3), np.random.rand()
    gx, gy = numerical_grad(lambda: (xp.sin(x) * y, (x * x * y).sum()), (x, y), (gu, gv))
    x, y, gu, gx, gy = to_cpu([x, y, gu, gx, gy])
    np.testing.assert_allclose(gx, gu * np.cos(x) * y + gv * 2 * x * y, rtol=1e-5)
    np.testing.assert_allclose(gy, gu * np.sin(x) + gv * x * x, rtol=1e-5)


def test_numerical_grad_leaves_out_outputs_without_gradient():
    x = rand(3)
    (gx,) = numerical_grad(lambda: (x * x, None, 1), (x,), (None, None, 0))
    assert gx.tolist() == [0, 0, 0]


def test_numerical_grad_has_the_dtype_of_the_input_and_puts_it_back():
    x = rand(3).astype('f')
    before = x.copy()
    (gx,) = numerical_grad(lambda: (x,), (x,), (1,))
    assert gx.dtype == np.float32
    np.testing.assert_allclose(to_cpu(gx), 1, rtol=1e-3)
    assert (x == before).all()


def test_input_is_put_back_after_an_error():
    x = rand(3)
    before = x.copy()
    with pytest.raises(ZeroDivisionError):
        numerical_grad(lambda: 1 / 0, (x,), (1,))
    assert (x == before).all()


@pytest.mark.parametrize('eps', [0, -1.0])
def test_step_must_be_positive(eps):
    with pytest.raises(AssertionError, match='eps must be positive'):
        numerical_grad(lambda: (0,), (ones(1),), (1,), eps)


def test_integers_cannot_be_differentiated_by():
    with pytest.raises(RuntimeError, match='The dtype of input arrays must be kind of float'):
        numerical_grad(lambda: (0,), (ones(1, dtype=int),), (1,))


@pytest.mark.parametrize(
    'function, point, smooth',
    [
        ('sin', 0, True),
        ('exp', 13, True),
        ('abs', 0, False),
        (np.abs, 0.8e-3, False),
        (np.abs, 1.2e-3, True),
        ('floor', 100, False),
        ('floor', 100.5, True),
        ('tan', np.pi / 2, False),
        ('log', 0, False),
        ('log', -1, True),  # nowhere defined, so nothing can be said
        (lambda x: x * np.inf, 1, True),
    ],
)
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_points_without_derivative_are_detected(function, point, smooth):
    x, function = xp.array([1.5, point]), function if callable(function) else getattr(xp, function)

    def differentiate():
        numerical_grad(lambda: (function(x),), (x,), (ones(2),), detect_nondifferentiable=True)

    if smooth:
        differentiate()
    else:
        with pytest.raises(NondifferentiableError, match='non-differentiable point'):
            differentiate()


# -- check_backward ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('dtype', ['e', 'f', 'd'])
def test_right_gradients_pass(dtype):
    x = rand(2, 3).astype(dtype)
    check_backward(square, x, ones(2, 3, dtype=dtype), dtype='d', atol=1e-2 if dtype == 'e' else 1e-5, rtol=1e-2)


@pytest.mark.parametrize('factor', [2.01, 1.99, -2, 0, np.nan])
def test_wrong_gradients_fail(factor):
    x = rand(2, 3)
    with pytest.raises(AssertionError, match='check_backward failed'):
        check_backward(lambda x: square(x, factor=factor), x, ones(2, 3))


def test_one_wrong_element_of_many_fails():
    x = rand(1000)
    wrong = ones(1000)
    wrong[500] = 1.5
    with pytest.raises(AssertionError):
        check_backward(lambda x: F.where(wrong == 1, square(x), square(x, factor=3)), x, ones(1000))


def test_gradient_that_is_missing_fails():
    with pytest.raises(AssertionError):
        check_backward(lambda x, y: x + y.array, (ones(2), ones(2)), ones(2))


def test_parameters_are_checked_and_stay_as_they_are():
    p = chainlite.Parameter(rand(3).astype('f'))
    array, x = p.array, rand(3).astype('f')
    check_backward(lambda x: square(x * p), x, ones(3, dtype='f'), p, dtype='d')
    assert p.array is array
    with pytest.raises(AssertionError):
        check_backward(lambda x: x + square(p, factor=3), x, ones(3, dtype='f'), [p], dtype='d')
    assert p.array is array


def test_outputs_without_gradient_do_not_count():
    def f(x):
        return square(x), square(x, factor=100)

    check_backward(f, rand(3), (ones(3), None))
    with pytest.raises(AssertionError):
        check_backward(f, rand(3), (None, ones(3)))


def test_integer_inputs_have_no_gradient():
    i = xp.array([2, 0])

    def f(x, i):
        assert i.dtype == int
        return F.embed_id(i, x)

    check_backward(f, (rand(3, 2), i), ones(2, 2))


def test_unexpected_gradient_is_an_error():
    with pytest.raises(RuntimeError, match='gradient of int variable must be None'):
        check_backward(square, ones(2), ones(2), no_grads=[True])


def test_scalar_loss_needs_no_output_gradient():
    check_backward(lambda x: F.sum(square(x)), rand(3), None)
    with pytest.raises(ValueError, match='y_grad argument cannot be omitted'):
        check_backward(square, rand(3), None)


@pytest.mark.parametrize(
    'gy, match',
    [
        (ones(3), r'Shapes and/or dtypes .*\n.*\(2,\):float64\n.*\(3,\):float64'),
        (ones(2, dtype='f'), 'Shapes and/or dtypes'),
        ((ones(2), ones(2)), 'equally as many'),
    ],
)
def test_output_gradients_must_fit(gy, match):
    with pytest.raises(ValueError, match=match):
        check_backward(square, ones(2), gy)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='`dtype` is allowed only float type'):
        check_backward(square, ones(2), ones(2), dtype=int)
    with pytest.raises(ValueError, match='Length of no_grads param and xs should be same'):
        check_backward(square, ones(2), ones(2), no_grads=[False, True])


@pytest.mark.parametrize('shape', [(), (0, 3), (1,)])
def test_small_shapes(shape):
    check_backward(square, rand(*shape), ones(*shape), atol=1e-3)
    check_double_backward(square, rand(*shape), ones(*shape), ones(*shape))


def test_point_without_derivative_is_told_on_request():
    with pytest.raises(NondifferentiableError):
        check_backward(F.relu, xp.zeros(3), ones(3), detect_nondifferentiable=True)


# -- check_double_backward ---------------------------------------------------------------------------------------------


def test_right_second_derivatives_pass():
    x = rand(2, 3)
    check_double_backward(square, x, ones(2, 3), ones(2, 3))
    check_double_backward(lambda x, y: (x * y, x / y), (x, x + 1), (x, x), (x, x))


def test_wrong_second_derivatives_fail():
    x = rand(2, 3)
    check_backward(lambda x: square(x, second=1.1), x, ones(2, 3))
    with pytest.raises(AssertionError, match=r'check_double_backward failed .*\ninput\[0\]'):
        check_double_backward(lambda x: square(x, second=1.1), x, ones(2, 3), ones(2, 3))


def test_second_derivatives_of_parameters():
    p = chainlite.Parameter(rand(3))
    x = rand(3)
    check_double_backward(lambda x: x * x * p * p, x, ones(3), ones(3), p, ones(3))
    with pytest.raises(AssertionError):
        check_double_backward(lambda x: x * square(p, second=2), x, ones(3), ones(3), p, ones(3))


def test_gradients_that_are_none_do_not_count():
    x = rand(3)
    check_double_backward(lambda x, y: (x * x, y * y), (x, x), (x, None), (x, x))
    check_double_backward(lambda x, y: (x * x, y * y), (x, x), (x, x), (x, None))
    check_double_backward(lambda x, y: x * x * y.array, (x, x), x, (x, x), no_grads=[False, True, False])


def test_number_of_gradients_must_fit():
    with pytest.raises(ValueError, match='equally as many'):
        check_double_backward(square, ones(2), ones(2), (ones(2), ones(2)))


# -- assert_allclose ---------------------------------------------------------------------------------------------------


def test_assert_allclose_names_the_worst_element():
    x, y = xp.zeros((2, 3)), xp.zeros((2, 3))
    x[1, 2], x[0, 1] = 3, 1
    with pytest.raises(AssertionError, match=r'i: \(1, 2\)\n  x\[i\]: 3.0\n  y\[i\]: 0.0\n  relative error\[i\]: inf'):
        gradient_check.assert_allclose(x, y)


def test_assert_allclose_with_nan():
    x = xp.array([1, np.nan])
    gradient_check.assert_allclose(x, x)
    with pytest.raises(AssertionError, match=r'i: \(1,\)'):
        gradient_check.assert_allclose(x, xp.array([1.0, 2]))


def test_assert_allclose_of_different_shapes():
    with pytest.raises(AssertionError, match=r'shape: \(2,\) \(3,\)'):
        gradient_check.assert_allclose(ones(2), ones(3))


def test_inputs_without_gradients_need_no_gradient_of_it():
    x, t = xp.asarray(np.random.RandomState(0).randn(3, 4)), xp.array([[0, 1, 1, 0]] * 3)
    gradient_check.check_double_backward(F.sigmoid_cross_entropy, (x, t), ones(), (ones(3, 4),))
