"""The tests of an elementwise function that NumPy has too."""

import unittest
import warnings

import numpy

from chainlite import gradient_check
from chainlite.backends import cuda
from chainlite.function import Function
from chainlite.testing import attr
from chainlite.testing.array import assert_allclose
from chainlite.testing.parameterized import parameterize, product
from chainlite.variable import Variable


def is_available():
    """Whether pytest, which marks the tests, is there."""
    return attr.is_available()


def check_available():
    """Raises a RuntimeError if pytest is missing."""
    attr.check_available()


def _func_name(func):
    return type(func).__name__.lower() if isinstance(func, Function) else func.__name__


def _func_class(func):
    return type(func) if isinstance(func, Function) else None


def _make_data_default(shape, dtype):
    """Values of x, gy and ggx."""
    return tuple(numpy.asarray(numpy.random.uniform(-1, 1, shape).astype(dtype, copy=False)) for _ in range(3))


def _nonlinear(func):
    """The square of a function, whose second derivative does not vanish where the function is linear."""

    def square(x):
        y = func(x)
        return y * y

    return square


def unary_math_function_unittest(
    func,
    func_expected=None,
    label_expected=None,
    make_data=None,
    is_linear=None,
    forward_options=None,
    backward_options=None,
    double_backward_options=None,
):
    """Decorator that fills a test class with the tests of an elementwise function.

    Args:
        func (callable): The function, of a Variable.
        func_expected (callable): What to compare with, called with an array and the dtype; NumPy's function of the same
            name if None.
        label_expected (str): The label of an old-style Function; its lower-case name if None.
        make_data (callable): Called with shape and dtype, returns x, gy and ggx; uniform in [-1, 1) if None.
        is_linear: Deprecated, has no effect.
        forward_options, backward_options, double_backward_options (dict): Arguments of
            :func:`~chainlite.testing.assert_allclose`, :func:`~chainlite.gradient_check.check_backward` and
            :func:`~chainlite.gradient_check.check_double_backward`.
    """
    check_available()
    if is_linear is not None:
        warnings.warn('is_linear option is deprecated', DeprecationWarning)
    name = _func_name(func)
    expected = func_expected
    if expected is None:
        numpy_function = getattr(numpy, name, None)
        if numpy_function is None:
            raise ValueError(f"NumPy has no functions corresponding to Chainer function '{name}'.")

        def expected(x, dtype):
            return numpy_function(x).astype(dtype)

    def options(given, default, dtype):
        tolerance = default if dtype != numpy.float16 else {'eps': 2**-4, 'atol': 2**-4, 'rtol': 2**-4}
        return {'dtype': numpy.float64, **tolerance, **(given or {})}

    class Tests:
        def setUp(self):
            self.x, self.gy, self.ggx = (make_data or _make_data_default)(self.shape, self.dtype)
            half = self.dtype == numpy.float16
            self.forward_options = dict.fromkeys(('atol', 'rtol'), 2**-10 if half else 1e-4)
            self.forward_options = self.forward_options if forward_options is None else forward_options
            tolerance = dict.fromkeys(('atol', 'rtol'), 1e-4)
            self.backward_options = options(backward_options, tolerance, self.dtype)
            self.double_backward_options = options(double_backward_options, tolerance, self.dtype)

        def check_forward(self, x_data):
            y = func(Variable(x_data))
            assert y.dtype == x_data.dtype, f'{x_data.dtype} gives {y.dtype}'
            y_expected = expected(cuda.to_cpu(x_data), dtype=x_data.dtype)
            assert_allclose(y_expected, y.array, **self.forward_options)

        def check_backward(self, x_data, y_grad):
            gradient_check.check_backward(func, x_data, y_grad, **self.backward_options)

        def check_double_backward(self, x_data, y_grad, x_grad_grad):
            gradient_check.check_double_backward(
                _nonlinear(func), x_data, y_grad, x_grad_grad, **self.double_backward_options
            )

        def test_forward_cpu(self):
            self.check_forward(self.x)

        @attr.gpu
        def test_forward_gpu(self):
            self.check_forward(cuda.to_gpu(self.x))

        def test_backward_cpu(self):
            self.check_backward(self.x, self.gy)

        @attr.gpu
        def test_backward_gpu(self):
            self.check_backward(cuda.to_gpu(self.x), cuda.to_gpu(self.gy))

        def test_double_backward_cpu(self):
            self.check_double_backward(self.x, self.gy, self.ggx)

        @attr.gpu
        def test_double_backward_gpu(self):
            self.check_double_backward(*(cuda.to_gpu(a) for a in (self.x, self.gy, self.ggx)))

    members = {k: v for k, v in vars(Tests).items() if not k.startswith('__')}
    if _func_class(func) is not None:

        def test_label(self):
            self.assertEqual(func.label, label_expected or name)

        members['test_label'] = test_label

    def decorate(klass):
        assert issubclass(klass, unittest.TestCase)
        for key, member in members.items():
            setattr(klass, key, member)
        cases = product({'shape': [(3, 2), ()], 'dtype': [numpy.float16, numpy.float32, numpy.float64]})
        return parameterize(*cases)(klass)

    return decorate
