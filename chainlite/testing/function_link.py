"""Test cases of functions and links: forward, backward, double backward, initializers.

A subclass says what to compute, how to compute it in NumPy, and on which inputs; the methods ``test_*`` are there. They
take a device configuration, so :func:`~chainlite.testing.inject_backend_tests` must decorate the class.
"""

import contextlib
import unittest

import numpy

from chainlite import backend, gradient_check, initializers
from chainlite.link import Link
from chainlite.testing.array import _as_noncontiguous_array, assert_allclose
from chainlite.variable import Variable

_MAX_TRIALS = 100  # inputs generated before a function is taken to be nowhere differentiable


class _TestError(AssertionError):
    """A mismatch that a test case found."""

    @classmethod
    @contextlib.contextmanager
    def raise_if_fail(cls, message, error_types=AssertionError):
        """Context whose errors of the given types are raised as this class, with a message."""
        try:
            yield
        except error_types as e:
            raise cls(f'{message}\n\n(caused by)\n{type(e).__name__}: {e}\n') from e

    @classmethod
    def check(cls, condition, message):
        if not condition:
            raise cls(message)


class FunctionTestError(_TestError):
    """A function does not do what its test case expects."""


class LinkTestError(_TestError):
    """A link does not do what its test case expects."""


class _TestBase:
    """What the test cases of functions and links share: options, inputs, comparison of outputs."""

    _error = _TestError

    backend_config = None
    check_forward_options = None
    check_backward_options = None
    skip_forward_test = False
    skip_backward_test = False
    dodge_nondifferentiable = False
    contiguous = None
    numerical_grad_dtype = numpy.float64

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in dir(type(self)):
            if name.startswith('check_') and name.endswith('_options'):
                setattr(self, name, dict(getattr(self, name) or {}))

    def before_test(self, test_name):
        """Called at the start of each test with its name; may raise ``unittest.SkipTest``."""

    def generate_inputs(self):
        """Returns the inputs, a tuple of NumPy arrays."""
        raise NotImplementedError('generate_inputs() is not implemented.')

    def generate_grad_outputs(self, outputs_template):
        """Returns the gradients of the outputs, each an array like its template or None; uniform in [-1, 1)."""
        return _random_like(outputs_template)

    def check_forward_outputs(self, outputs, expected_outputs):
        """Compares outputs: their number, shapes, dtypes and values."""
        actual, expected = _described(outputs), _described(expected_outputs)
        both = f'Expected shapes and dtypes: {expected}\nActual shapes and dtypes:   {actual}\n'
        n, n_expected = len(outputs), len(expected_outputs)
        self._error.check(n == n_expected, f'Number of outputs ({n}, {n_expected}) does not match\n{both}')
        same = all(
            (y is None) == (e is None) and (y is None or (y.shape, y.dtype) == (e.shape, e.dtype))
            for y, e in zip(outputs, expected_outputs)
        )
        self._error.check(same, f'Shapes and/or dtypes do not match\n{both}')
        errors = {}
        for i, (y, e) in enumerate(zip(outputs, expected_outputs)):
            try:
                if y is not None:
                    assert_allclose(y, e, **self.check_forward_options)
            except AssertionError as error:
                errors[i] = f'Error details of output [{i}]:\n{error}\n'
        if errors:
            raise self._error(
                'Outputs do not match the expected values.\n'
                f'Indices of outputs that do not match: {", ".join(map(str, errors))}\n{both}\n\n'
                + '\n'.join(errors.values())
            )

    @contextlib.contextmanager
    def _prepared(self, kind, backend_config):
        """The state in which the test of one kind runs."""
        self.backend_config = backend_config
        self.test_name = f'test_{kind}'
        self.before_test(self.test_name)
        if getattr(self, f'skip_{kind}_test', False):
            raise unittest.SkipTest(f'skip_{kind}_test is set')
        with backend_config:
            yield

    def _to_noncontiguous_as_needed(self, arrays):
        if self.contiguous is None:
            return _as_noncontiguous_array(arrays)
        assert self.contiguous == 'C', f'Invalid value of `contiguous`: {self.contiguous}'
        return type(arrays)([None if a is None else backend.get_array_module(a).ascontiguousarray(a) for a in arrays])

    def _send(self, arrays):
        return self._to_noncontiguous_as_needed(self.backend_config.device.send(arrays))

    def _options(self, given):
        options = {'dtype': self.numerical_grad_dtype, 'detect_nondifferentiable': self.dodge_nondifferentiable}
        return {**options, **given}

    def _generated(self, name, *args):
        """Calls a method of the subclass that returns NumPy arrays, and checks that it does."""
        arrays = getattr(self, name)(*args)
        if not isinstance(arrays, tuple):
            raise TypeError(f'`{name}()` must return a tuple, not {type(arrays)}.')
        if not all(a is None or isinstance(a, numpy.ndarray) for a in arrays):
            raise TypeError(
                f'{name}() must return a tuple of arrays supported by device @numpy or None.\n'
                f'Actual: {tuple(type(a) for a in arrays)}'
            )
        return arrays

    def _checked_outputs(self, outputs):
        """The arrays of what ``forward()`` returned."""
        self._error.check(isinstance(outputs, tuple), f'`forward()` must return a tuple, not {type(outputs)}.')
        for y in outputs:
            self._error.check(
                isinstance(y, Variable), f'forward() must return a tuple of Variables.\nActual: {type(y)}'
            )
        return tuple(y.array for y in outputs)

    def _where_differentiable(self, attempt):
        """Runs a check, with other inputs as long as it meets a point without derivative, if the test asks for that."""
        for _ in range(_MAX_TRIALS):
            try:
                return attempt()
            except gradient_check.NondifferentiableError as e:
                if not self.dodge_nondifferentiable:
                    raise
                last = e
        raise last


class FunctionTestBase(_TestBase):
    """The checks of :class:`FunctionTestCase`, without being a ``unittest.TestCase``."""

    _error = FunctionTestError

    check_double_backward_options = None
    skip_double_backward_test = False

    def forward(self, inputs, device):
        """Computes the function under test.

        Args:
            inputs (tuple of Variable): On the device.
            device (chainlite.backend.Device): The device.

        Returns:
            tuple of Variable: The outputs.
        """
        raise NotImplementedError('forward() is not implemented.')

    def forward_expected(self, inputs):
        """Computes the expected outputs, a tuple of NumPy arrays, from a tuple of NumPy arrays."""
        raise NotImplementedError('forward_expected() is not implemented.')

    def generate_grad_grad_inputs(self, inputs_template):
        """Returns what the gradients of the inputs are multiplied with in double backward; uniform in [-1, 1)."""
        return _random_like(inputs_template)

    def run_test_forward(self, backend_config):
        """Checks the outputs, and that the inputs are left alone."""
        with self._prepared('forward', backend_config):
            device = backend_config.device
            inputs = self._to_noncontiguous_as_needed(self._generated('generate_inputs'))
            expected = self._forward_expected(inputs)
            sent = self._to_noncontiguous_as_needed(device.send(_copies(inputs)))
            outputs = self._checked_outputs(self.forward(_variables(sent), device))
            self._check_inputs_unchanged(inputs, backend.CpuDevice().send(sent))
            self.check_forward_outputs(outputs, expected)

    def run_test_backward(self, backend_config):
        """Checks the gradients against differences."""
        with self._prepared('backward', backend_config):
            self._where_differentiable(self._check_backward)

    def run_test_double_backward(self, backend_config):
        """Checks the gradients of the gradients against differences."""
        with self._prepared('double_backward', backend_config):
            self._where_differentiable(self._check_double_backward)

    def _forward_expected(self, inputs):
        return self._generated('forward_expected', _copies(inputs))

    def _samples(self):
        """Inputs and gradients of outputs, not yet on the device."""
        inputs = self._generated('generate_inputs')
        outputs = self._forward_expected(inputs)
        return inputs, self._generated('generate_grad_outputs', outputs)

    def _function(self, *inputs):
        outputs = self.forward(inputs, self.backend_config.device)
        self._checked_outputs(outputs)
        return outputs

    def _check_backward(self):
        inputs, grad_outputs = self._samples()
        with self._error.raise_if_fail('backward is not implemented correctly'):
            gradient_check.check_backward(
                self._function,
                self._send(inputs),
                self._send(grad_outputs),
                **self._options(self.check_backward_options),
            )

    def _check_double_backward(self):
        inputs, grad_outputs = self._samples()
        grad_grad_inputs = self._generated('generate_grad_grad_inputs', inputs)
        with self._error.raise_if_fail('double backward is not implemented correctly'):
            gradient_check.check_double_backward(
                self._function,
                self._send(inputs),
                self._send(grad_outputs),
                self._send(grad_grad_inputs),
                **self._options(self.check_double_backward_options),
            )

    def _check_inputs_unchanged(self, before, after):
        changed = [i for i, (a, b) in enumerate(zip(before, after)) if a is not None and not _equal(a, b)]
        details = ''.join(f'\nInput[{i}]:\nOriginal:\n{before[i]}\nAfter forward:\n{after[i]}\n' for i in changed)
        self._error.check(
            not changed,
            'Input arrays have been modified during forward.\n'
            f'Indices of modified inputs: {", ".join(map(str, changed))}\n'
            f'Input array shapes and dtypes: {_described(before)}\n{details}',
        )


class FunctionTestCase(FunctionTestBase, unittest.TestCase):
    """Test case of a function: ``test_forward``, ``test_backward`` and ``test_double_backward``.

    A subclass has the methods ``generate_inputs``, ``forward`` and ``forward_expected``. It may have
    ``generate_grad_outputs``, ``generate_grad_grad_inputs``, ``before_test`` and ``check_forward_outputs``, and these
    attributes:

    Attributes:
        check_forward_options, check_backward_options, check_double_backward_options (dict): Arguments of
            :func:`~chainlite.testing.assert_allclose`, :func:`~chainlite.gradient_check.check_backward` and
            :func:`~chainlite.gradient_check.check_double_backward`.
        skip_forward_test, skip_backward_test, skip_double_backward_test (bool): Whether to skip a test.
        dodge_nondifferentiable (bool): Whether to try other inputs at a point where the function has no derivative.
        contiguous (str or None): ``'C'`` for C-contiguous arrays; None for arrays that are not contiguous.
        numerical_grad_dtype: The dtype of the differences; None for that of the inputs.
        backend_config (BackendConfig): The device configuration of the test that runs.
        test_name (str): The name of the test that runs.
    """

    def test_forward(self, backend_config):
        self.run_test_forward(backend_config)

    def test_backward(self, backend_config):
        self.run_test_backward(backend_config)

    def test_double_backward(self, backend_config):
        self.run_test_double_backward(backend_config)


class InitializerArgument:
    """An argument given for an initializer, and the initializer that it should lead to.

    Args:
        argument_value: What the link is given, such as None.
        expected_initializer: Initializer, array or scalar.
    """

    def __init__(self, argument_value, expected_initializer):
        if expected_initializer is None:
            raise ValueError('Expected initialized cannot be None.')
        self.argument_value = argument_value
        self.expected_initializer = expected_initializer


class _LinkTestBase(_TestBase):
    """What the two test cases of links share."""

    _error = LinkTestError

    param_names = ()

    def generate_params(self):
        """Returns initializers of the parameters that ``param_names`` names: arrays, scalars, Initializers."""
        raise NotImplementedError('generate_params is not implemented.')

    def create_link(self, initializers):
        """Makes the link with the given initializers, a sequence like ``param_names``."""
        raise NotImplementedError('create_link is not implemented.')

    def generate_inputs(self):
        """Returns the inputs, a tuple of NumPy arrays."""
        raise NotImplementedError('generate_inputs is not implemented.')

    def forward(self, link, inputs, device):
        """Calls the link with Variables; returns a tuple of Variables."""
        outputs = link(*inputs)
        return (outputs,) if isinstance(outputs, Variable) else outputs

    def _generate_params(self):
        params = self.generate_params()
        if not isinstance(params, (tuple, list)):
            raise TypeError('`generate_params` must return a tuple or a list.')
        for param in params:
            _expected_initializer(param)
        return params

    def _create_link(self, params):
        link = self.create_link([_argument(p) for p in params])
        if not isinstance(link, Link):
            raise TypeError('`create_link` must return a chainer.Link object.')
        return link

    def _create_initialized_link(self, params, inputs):
        """Makes the link on the device and calls it once, so that lazily shaped parameters have arrays."""
        device = self.backend_config.device
        link = self._create_link(params)
        link.to_device(device)
        outputs = self.forward(link, _variables(self._send(inputs)), device)
        return link, self._checked_outputs(outputs)

    def _params_of(self, link):
        params = []
        for name in self.param_names:
            self._error.check(hasattr(link, name), f"Link does not have a parameter named '{name}'.")
            params.append(getattr(link, name))
        return params


class LinkTestCase(_LinkTestBase, unittest.TestCase):
    """Test case of a link: ``test_forward`` and ``test_backward``.

    A subclass has ``param_names``, ``generate_params``, ``create_link``, ``generate_inputs`` and ``forward_expected``.
    It may have the other methods and attributes of :class:`FunctionTestCase`, except those of double backward.
    """

    def forward_expected(self, link, inputs):
        """Computes the expected outputs, a tuple of NumPy arrays, from a link on the CPU and NumPy arrays."""
        raise NotImplementedError('forward_expected() is not implemented.')

    def test_forward(self, backend_config):
        with self._prepared('forward', backend_config):
            inputs = self._generated('generate_inputs')
            link, outputs = self._create_initialized_link(self._generate_params(), inputs)
            link.to_device(backend.CpuDevice())
            expected = self.forward_expected(link, _copies(inputs))
            if not isinstance(expected, tuple):
                raise TypeError(f'`forward_expected()` must return a tuple, not {type(expected)}.')
            self.check_forward_outputs(outputs, expected)

    def test_backward(self, backend_config):
        with self._prepared('backward', backend_config):
            self._where_differentiable(self._check_backward)

    def _check_backward(self):
        device = self.backend_config.device
        inputs = self._generated('generate_inputs')
        link, outputs = self._create_initialized_link(self._generate_params(), inputs)
        grad_outputs = self.generate_grad_outputs(backend.CpuDevice().send(outputs))
        params = self._params_of(link)
        for param in params:
            param.array = self._to_noncontiguous_as_needed([param.array])[0]

        def forward(*variables):
            outputs = self.forward(link, variables, device)
            self._checked_outputs(outputs)
            return outputs

        with self._error.raise_if_fail('backward is not implemented correctly'):
            gradient_check.check_backward(
                forward,
                self._send(inputs),
                self._send(tuple(grad_outputs)),
                tuple(params),
                **self._options(self.check_backward_options),
            )


class LinkInitializersTestCase(_LinkTestBase, unittest.TestCase):
    """Test case of a link's initializers: ``test_initializers``.

    A subclass has ``param_names``, ``generate_params``, ``create_link``, ``generate_inputs`` and ``get_initializers``.

    Attributes:
        check_initializers_options (dict): Arguments of :func:`~chainlite.testing.assert_allclose`.
    """

    check_initializers_options = None

    def get_initializers(self):
        """Returns, for each of ``param_names``, the initializers to try.

        They are Initializers, arrays, scalars, or :class:`InitializerArgument` where the link is given something else.
        """
        raise NotImplementedError('get_initializers is not implemented.')

    def test_initializers(self, backend_config):
        """Checks each initializer of each parameter, the others being those of ``generate_params``."""
        with self._prepared('initializers', backend_config):
            params = self._generate_params()
            for i, initializers_i in enumerate(self._get_initializers()):
                for initializer in initializers_i:
                    self._check_initializer(i, [*params[:i], initializer, *params[i + 1 :]])

    def _get_initializers(self):
        found = self.get_initializers()
        if not isinstance(found, (tuple, list)):
            raise TypeError('`get_initializers` must return a tuple or a list.')
        if not all(isinstance(f, (tuple, list)) for f in found):
            raise TypeError('`get_initializers` must return a tuple or a list of tuples or lists.')
        for one in (initializer for group in found for initializer in group):
            _expected_initializer(one)
        return found

    def _check_initializer(self, i, params):
        """Makes the link and compares its parameter with what the initializer gives, which must not be random."""
        link, _ = self._create_initialized_link(params, self._generated('generate_inputs'))
        param = self._params_of(link)[i]
        initializer = initializers._get_initializer(_expected_initializer(params[i]))
        expected = initializers.generate_array(initializer, param.shape, numpy, dtype=param.dtype)
        with self._error.raise_if_fail(f"Parameter '{self.param_names[i]}' is not initialized as expected"):
            assert_allclose(param.array, expected, **self.check_initializers_options)


def _argument(initializer):
    return initializer.argument_value if isinstance(initializer, InitializerArgument) else initializer


def _expected_initializer(initializer):
    """What an initializer, or an InitializerArgument, should lead to; checks its type."""
    if isinstance(initializer, InitializerArgument):
        initializer = initializer.expected_initializer
    if initializer is None:
        raise ValueError(
            'A None initializer must be wrapped in a InitializerArgument along with the expected initializer '
            'fallen back to.'
        )
    if not (callable(initializer) or isinstance(initializer, numpy.ndarray) or numpy.isscalar(initializer)):
        raise TypeError(
            f'Initializer is of wrong type: {type(initializer)}. Allowed types are Initializer, ndarray and scalar.'
        )
    return initializer


def _copies(arrays):
    return tuple(None if a is None else a.copy() for a in arrays)


def _variables(arrays):
    return tuple(None if a is None else Variable(a, requires_grad=a.dtype.kind == 'f') for a in arrays)


def _random_like(templates):
    return tuple(
        None if t is None else numpy.asarray(numpy.random.uniform(-1, 1, t.shape)).astype(t.dtype) for t in templates
    )


def _described(arrays):
    return ', '.join('None' if a is None else f'{a.shape}:{a.dtype.name}' for a in arrays)


def _equal(a, b):
    return numpy.array_equal(a, b, equal_nan=a.dtype.kind in 'fc')
