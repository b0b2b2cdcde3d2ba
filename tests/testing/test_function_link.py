"""FunctionTestCase, LinkTestCase and LinkInitializersTestCase find errors and let correct implementations pass."""

import unittest

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import initializers, testing
from chainlite.testing.array import _as_noncontiguous_array


@pytest.fixture
def config(xp):
    """The devices on which a case runs."""
    return testing.BackendConfig({'use_cuda': xp is not np})


class SquareCase(testing.FunctionTestCase):
    """A correct test case, of which the tests change a part."""

    __test__ = False  # for pytest; the tests here run it

    shape = (2, 3)

    def runTest(self):
        pass

    def generate_inputs(self):
        return (np.random.uniform(-1, 1, self.shape).astype('f'),)

    def forward(self, inputs, device):
        return (inputs[0] * inputs[0],)

    def forward_expected(self, inputs):
        return (np.asarray(inputs[0] ** 2),)


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)


def case(base=SquareCase, **changes):
    return type('Case', (base,), changes)()


@pytest.mark.parametrize('shape', [(2, 3), (3,), (1,), (), (2, 0)])
@pytest.mark.parametrize('kind', ['forward', 'backward', 'double_backward'])
@pytest.mark.parametrize('contiguous', [None, 'C'])
def test_correct_function_passes(config, shape, kind, contiguous):
    getattr(case(shape=shape, contiguous=contiguous), f'test_{kind}')(config)


@pytest.mark.parametrize(
    'expected, match',
    [
        (lambda self, inputs: (inputs[0] ** 2 + 1e-3,), 'Outputs do not match the expected values'),
        (lambda self, inputs: (inputs[0].astype('d') ** 2,), r'dtypes do not match\nExpected .*\(2, 3\):float64'),
        (lambda self, inputs: (inputs[0][:1] ** 2,), r'Shapes and/or dtypes do not match\nExpected .*\(1, 3\)'),
        (lambda self, inputs: (inputs[0] ** 2,) * 2, r'Number of outputs \(1, 2\) does not match'),
    ],
)
def test_wrong_outputs_fail(config, expected, match):
    with pytest.raises(testing.FunctionTestError, match=match):
        case(forward_expected=expected).test_forward(config)


def test_function_that_changes_its_input_fails(config):
    def forward(self, inputs, device):
        y = inputs[0] * inputs[0]
        inputs[0].array[...] = 0
        return (y,)

    with pytest.raises(testing.FunctionTestError, match='Input arrays have been modified.*\nIndices.*: 0'):
        case(forward=forward).test_forward(config)


class Wrong(chainlite.FunctionNode):
    def __init__(self, first, second):
        self.first, self.second = first, second

    def forward(self, inputs):
        self.retain_inputs((0,))
        return (inputs[0] * inputs[0],)

    def backward(self, indexes, grad_outputs):
        (x,) = self.get_retained_inputs()
        return (self.first * x * grad_outputs[0] if self.second else self.first * x.array * grad_outputs[0],)


def test_wrong_gradients_fail(config):
    wrong = case(forward=lambda self, inputs, device: Wrong(3, True).apply(inputs))
    wrong.test_forward(config)
    with pytest.raises(testing.FunctionTestError, match='backward is not implemented correctly'):
        wrong.test_backward(config)


def test_wrong_second_derivatives_fail(config):
    wrong = case(forward=lambda self, inputs, device: Wrong(2, False).apply(inputs))
    wrong.test_backward(config)
    with pytest.raises(testing.FunctionTestError, match='double backward is not implemented correctly'):
        wrong.test_double_backward(config)


def test_arrays_are_not_contiguous_unless_asked_for(config):
    seen = []

    def forward(self, inputs, device):
        seen.append(inputs[0].array.flags)
        return (inputs[0] * inputs[0],)

    case(forward=forward).test_forward(config)
    assert not seen[-1].c_contiguous and not seen[-1].f_contiguous
    case(forward=forward, contiguous='C').test_forward(config)
    assert seen[-1].c_contiguous
    with pytest.raises(AssertionError, match='Invalid value of `contiguous`: F'):
        case(forward=forward, contiguous='F').test_forward(config)


@pytest.mark.parametrize('shape', [(), (1,), (2, 0)])
def test_small_arrays_cannot_be_noncontiguous(xp, shape):
    x = xp.ones(shape)
    assert _as_noncontiguous_array(x) is x


def test_noncontiguous_arrays_have_the_same_values(xp):
    x = xp.arange(24.0).reshape(2, 1, 12)
    y, none = _as_noncontiguous_array([x, None])
    assert not y.flags.c_contiguous and not y.flags.f_contiguous
    assert y.tolist() == x.tolist() and none is None


def test_points_without_derivative_are_dodged(config):
    points = [0.0, 0.0, 1.0]

    def generate_inputs(self):
        return (np.full(3, points.pop(0)),)

    relu = dict(
        generate_inputs=generate_inputs,
        forward=lambda self, inputs, device: (F.relu(inputs[0]),),
        forward_expected=lambda self, inputs: (np.maximum(inputs[0], 0),),
    )
    case(dodge_nondifferentiable=True, **relu).test_backward(config)
    assert points == []


def test_function_without_any_derivative_ends(config):
    nowhere = case(
        dodge_nondifferentiable=True,
        generate_inputs=lambda self: (np.zeros(2),),
        forward=lambda self, inputs, device: (F.relu(inputs[0]),),
        forward_expected=lambda self, inputs: (inputs[0],),
    )
    with pytest.raises(chainlite.gradient_check.NondifferentiableError):
        nowhere.test_backward(config)


def test_none_gradients_reach_the_function(config):
    def forward(self, inputs, device):
        return inputs[0] * inputs[0], inputs[0] * 2

    none = case(
        forward=forward,
        forward_expected=lambda self, inputs: (inputs[0] ** 2, inputs[0] * 2),
        generate_grad_outputs=lambda self, templates: (np.ones_like(templates[0]), None),
    )
    none.test_backward(config)
    none.test_double_backward(config)


@pytest.mark.parametrize('kind', ['forward', 'backward', 'double_backward'])
def test_tests_can_be_skipped(config, kind):
    with pytest.raises(unittest.SkipTest, match=f'skip_{kind}_test is set'):
        getattr(case(**{f'skip_{kind}_test': True}), f'test_{kind}')(config)


def test_before_test_knows_the_test(config):
    seen = []

    def before_test(self, test_name):
        seen.append((test_name, self.test_name, self.backend_config))

    case(before_test=before_test).test_forward(config)
    assert seen == [('test_forward', 'test_forward', config)]


@pytest.mark.parametrize(
    'changes, error, match',
    [
        (dict(generate_inputs=lambda self: [np.ones(2)]), TypeError, r'`generate_inputs\(\)` must return a tuple'),
        (dict(generate_inputs=lambda self: (1.0,)), TypeError, 'tuple of arrays supported by device @numpy'),
        (dict(forward_expected=lambda self, inputs: np.ones(2)), TypeError, 'must return a tuple'),
        (dict(forward=lambda self, inputs, device: inputs[0]), testing.FunctionTestError, 'must return a tuple'),
        (dict(forward=lambda s, i, d: (i[0].array,)), testing.FunctionTestError, 'must return a tuple of Variables'),
    ],
)
def test_wrong_types_are_told(config, changes, error, match):
    with pytest.raises(error, match=match):
        case(**changes).test_forward(config)


def test_methods_that_are_missing_are_told(config):
    class Empty(testing.FunctionTestCase):
        def runTest(self):
            pass

    with pytest.raises(NotImplementedError, match=r'generate_inputs\(\) is not implemented'):
        Empty().test_forward(config)


def test_options_of_the_comparisons(config):
    loose = case(forward_expected=lambda self, inputs: (inputs[0] ** 2 + 1e-3,))
    loose.check_forward_options.update(atol=1e-2)
    loose.test_forward(config)
    case(
        forward_expected=lambda self, inputs: (inputs[0] ** 2 + 1e-3,), check_forward_options={'atol': 1e-2}
    ).test_forward(config)


# -- links -------------------------------------------------------------------------------------------------------------


class LinearCase:
    __test__ = False
    param_names = ('W', 'b')

    def runTest(self):
        pass

    def generate_params(self):
        return np.random.rand(2, 3).astype('f'), np.random.rand(2).astype('f')

    def create_link(self, initializers):
        W, b = initializers
        return L.Linear(None, 2, initialW=W, initial_bias=b)

    def generate_inputs(self):
        return (np.random.rand(4, 3).astype('f'),)

    def forward_expected(self, link, inputs):
        return (inputs[0].dot(link.W.array.T) + link.b.array,)

    def get_initializers(self):
        return (
            [initializers.Constant(1), 2, np.ones((2, 3), 'f')],
            [initializers.Zero(), 0.5, testing.InitializerArgument(None, 0)],
        )


class ForwardBackward(LinearCase, testing.LinkTestCase):
    pass


class Initializers(LinearCase, testing.LinkInitializersTestCase):
    pass


def test_correct_link_passes(config):
    case(ForwardBackward).test_forward(config)
    case(ForwardBackward).test_backward(config)
    case(Initializers).test_initializers(config)


class WrongLinear(L.Linear):
    def forward(self, x):
        return super().forward(x) + self.b.array  # correct by value, if the bias were doubled


def test_wrong_link_fails(config):
    def create_link(self, initializers):
        return WrongLinear(3, 2, initialW=initializers[0], initial_bias=initializers[1])

    def forward_expected(self, link, inputs):
        return (inputs[0].dot(link.W.array.T) + 2 * link.b.array,)

    with pytest.raises(testing.LinkTestError, match='Outputs do not match'):
        case(ForwardBackward, create_link=create_link).test_forward(config)
    wrong = case(ForwardBackward, create_link=create_link, forward_expected=forward_expected)
    wrong.test_forward(config)
    with pytest.raises(testing.LinkTestError, match='backward is not implemented correctly'):
        wrong.test_backward(config)


def test_ignored_initializer_fails(config):
    with pytest.raises(testing.LinkTestError, match="Parameter 'W' is not initialized as expected"):
        case(Initializers, create_link=lambda self, initializers: L.Linear(3, 2)).test_initializers(config)


@pytest.mark.parametrize(
    'changes, error, match',
    [
        (dict(create_link=lambda self, i: 3), TypeError, '`create_link` must return a chainer.Link object'),
        (dict(generate_params=lambda self: (None, 0)), ValueError, 'must be wrapped in a InitializerArgument'),
        (
            dict(generate_params=lambda self: (chainlite.Parameter(np.ones(1)), 0)),
            TypeError,
            'Initializer is of wrong type',
        ),
        (dict(param_names=('X',)), testing.LinkTestError, "Link does not have a parameter named 'X'"),
    ],
)
def test_wrong_parts_of_a_link_case_are_told(config, changes, error, match):
    with pytest.raises(error, match=match):
        case(ForwardBackward, **changes).test_backward(config)


@pytest.mark.parametrize('found', [3, (0, 0)])
def test_initializers_must_be_lists(config, found):
    with pytest.raises(TypeError, match='`get_initializers` must return a tuple or a list'):
        case(Initializers, get_initializers=lambda self: found).test_initializers(config)


@pytest.mark.host('texts of errors')
def test_expected_initializer_cannot_be_none():
    with pytest.raises(ValueError, match='cannot be None'):
        testing.InitializerArgument(None, None)
