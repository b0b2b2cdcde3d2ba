"""Variables and parameters: arrays, gradients, operators, copies, texts."""

import copy
import pickle

import numpy as np
import pytest
from comparing import assert_array_equal

import chainlite
import chainlite.functions as F
from chainlite import Parameter, Variable, initializers


@pytest.fixture
def ones(xp):
    return lambda *shape: xp.ones(shape, 'f')


class TestConstruction:
    @pytest.mark.host('texts of errors')
    def test_takes_arrays_only(self):
        with pytest.raises(TypeError, match="are expected. Actual: <class 'list'>"):
            Variable([1, 2])

    def test_names_an_unknown_argument(self, ones):
        with pytest.raises(TypeError, match="unexpected keyword argument.*'nme'"):
            Variable(ones(1), nme=1)

    def test_removed_argument_says_what_to_use(self, ones):
        with pytest.raises(ValueError, match='using_config'):
            Variable(ones(1), volatile=True)

    def test_holds_the_array_itself(self, ones):
        x = ones(2)
        assert Variable(x).array is x and Variable(x).data is x

    def test_what_is_no_array_does_not_replace_the_array(self, xp, ones):
        x = Variable(ones(2))
        F.relu(x)
        with pytest.raises(AttributeError, match='list'):
            x.array = [1, 2]
        assert type(x.array) is xp.ndarray


class TestGradient:
    def test_must_match_in_shape_dtype_and_type(self, xp, ones):
        x = Variable(ones(2))
        with pytest.raises(ValueError, match=r'Shape of data and grad mismatch\ngrad: \(3,\) != data: \(2,\)'):
            x.grad = ones(3)
        with pytest.raises(TypeError, match='Dtype of data and grad mismatch'):
            x.grad = xp.ones(2)
        with pytest.raises(TypeError, match='Type of grad is invalid'):
            x.grad = [1, 2]
        assert x.grad is None

    def test_accumulates_over_backward_passes_until_cleared(self, ones):
        x = Variable(ones(2))
        for expected in 3, 6:
            F.sum(3 * x).backward()
            assert_array_equal(x.grad, [expected] * 2)
        x.cleargrad()
        assert x.grad is None

    def test_accumulation_leaves_the_earlier_array_alone(self, ones):
        x = Variable(ones(2))
        F.sum(x * x).backward()
        before = x.grad
        kept = before.copy()
        F.sum(x * x + x).backward()
        assert_array_equal(before, kept)

    def test_of_a_parameter_can_be_written_to(self, xp, ones):
        x = Parameter(ones(2, 3))
        x.cleargrad()
        F.sum(x).backward()
        x.grad *= 2
        assert_array_equal(x.grad, xp.full((2, 3), 2))

    def test_two_parameters_do_not_share_one_array(self, ones):
        x, y = Parameter(ones(2)), Parameter(ones(2))
        x.cleargrad(), y.cleargrad()
        F.sum((x + y) * 3).backward()
        x.grad *= 10
        assert_array_equal(y.grad, [3, 3])

    def test_addgrad(self, ones):
        x, y = Variable(ones(2)), Variable(ones(2))
        x.grad, y.grad = ones(2), 2 * ones(2)
        x.addgrad(y)
        assert_array_equal(x.grad, [3, 3])

    def test_zerograd_warns(self, ones):
        x = Variable(ones(2))
        with pytest.warns(DeprecationWarning):
            x.zerograd()
        assert_array_equal(x.grad, [0, 0])


class TestOperators:
    def test_with_an_array_on_the_left_is_ours(self, xp):
        y = xp.arange(3.0) - Variable(xp.ones(3))
        assert isinstance(y, Variable)
        assert_array_equal(y.array, [-1, 0, 1])

    def test_scalars_keep_the_dtype(self, xp):
        x = Variable(xp.ones(2, 'e'))
        for y in (x + 1.5, 2 * x, x - np.float64(3), 1 / x, x**2, 2**x):
            assert y.dtype == np.float16

    def test_floor_division_has_no_gradient(self, xp):
        assert (Variable(xp.array([5.0, -5.0])) // 2).creator is None

    def test_comparisons_and_truth_are_refused(self, ones):
        x = Variable(ones(1))
        for compare in (lambda: x < 1, lambda: x == x, lambda: x >= 0):
            with pytest.raises(TypeError, match='You could use `array` attribute instead'):
                compare()
        with pytest.raises(TypeError, match='Python bool'):
            bool(x)

    def test_unknown_operand(self, ones):
        with pytest.raises(TypeError, match='Value must be a scalar'):
            Variable(ones(1)) * object()

    def test_shapes_that_do_not_broadcast(self, ones):
        with pytest.raises(chainlite.utils.type_check.InvalidType, match=r'lhs.shape = \(2,\)\nrhs.shape = \(3,\)'):
            Variable(ones(2)) + ones(3)

    def test_iteration_and_length(self, ones):
        assert len(Variable(ones(3, 2))) == 3
        assert [y.shape for y in Variable(ones(3, 2))] == [(2,)] * 3

    def test_array_methods(self, xp):
        x = Variable(xp.arange(6.0).reshape(2, 3))
        assert x.T.shape == (3, 2) == x.transpose(1, 0).shape == x.transpose((1, 0)).shape
        assert x.reshape(3, 2).shape == x.reshape((3, -1)).shape
        assert_array_equal(x.mean(axis=0).array, [1.5, 2.5, 3.5])
        assert Variable(xp.array(4.0)).item() == 4.0


class TestTexts:
    def test_labels(self, ones):
        x = Variable(ones(2))
        assert [y.creator.label for y in (x + x, x + 2, 2 - x, x + (-2), -x, abs(x), x**2, x[0])] == [
            *('_ + _', '_ + 2', '2 - _', '_ + (-2)', '__neg__', '|_|', '_ ** 2', 'GetItem')
        ]

    def test_repr_and_str(self, ones):
        assert repr(Variable(ones(2), name='w')) == 'variable w([1., 1.])'
        assert str(Variable(ones(2))) == 'variable([1. 1.])'
        assert repr(Variable()) == 'variable(None)'

    def test_debug_print_names_statistics(self, xp):
        text = Variable(xp.array([1.0, 3.0])).debug_print()
        assert 'mean=2.00000000, std=1.00000000' in text and 'grad: None' in text


class TestCopies:
    def test_pickle_and_deepcopy_keep_array_gradient_and_name(self, ones):
        x = Variable(ones(2), name='x', requires_grad=False)
        x.grad = 2 * ones(2)
        for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
            assert (y.name, y.requires_grad) == ('x', False)
            assert_array_equal(y.array, x.array)
            assert_array_equal(y.grad, x.grad)
            assert y.array is not x.array

    def test_shallow_copy_shares_the_array_but_not_the_gradient(self, ones):
        x = Variable(ones(2))
        y = copy.copy(x)
        y.grad = ones(2)
        assert y.array is x.array and x.grad is None


class TestParameter:
    def test_waits_for_its_shape(self, device):
        p = Parameter(initializers.Constant(3))
        p.to_device(device)
        assert not p.is_initialized and p.array is None and p.device == device
        p.initialize((2, 3))
        assert isinstance(p.array, device.xp.ndarray)
        assert_array_equal(p.array, np.full((2, 3), 3, 'f'))
        assert device.xp.isnan(p.grad).all()

    def test_takes_an_array_for_a_shape_and_stays_where_the_array_is(self, xp):
        p = Parameter(xp.array([1, 2, 3], 'd'), (2, 3))
        assert isinstance(p.array, xp.ndarray) and p.dtype == 'f'
        assert_array_equal(p.array, np.array([[1, 2, 3]] * 2, 'f'))

    def test_made_of_its_array_has_no_gradient_to_clear(self, xp):
        p = Parameter(xp.array([1, 2], 'f'))
        assert p.grad is None
        (p[0] * 3 + p[1]).backward()
        assert_array_equal(p.grad, np.array([3, 1], 'f'))

    def test_unset_shows_as_nan(self, device):
        p = Parameter(shape=2)
        p.to_device(device)
        assert device.xp.isnan(p.array).all()

    def test_gradient_of_an_uninitialized_one_is_an_error_until_cleared(self, device):
        p = Parameter()
        p.to_device(device)
        with pytest.raises(RuntimeError):
            p.grad  # noqa: B018
        p.cleargrad()
        p.initialize(2)
        assert p.grad is None

    @pytest.mark.host('arrays are filled on the host; tests of initializers fill them on the device')
    def test_dtype_is_the_initializers_or_the_configured_one(self):
        assert Parameter(initializers.Zero(dtype='e')).dtype == np.float16
        with chainlite.using_config('dtype', np.float64):
            assert Parameter(0, 2).dtype == np.float64
        with pytest.raises(RuntimeError, match='not determined yet'):
            Parameter().dtype  # noqa: B018

    def test_a_copy_made_before_initialization_shares_the_array(self, device):
        p = Parameter(0)
        p.to_device(device)
        q = copy.copy(p)
        p.initialize(3)
        assert q.array is p.array and isinstance(q.array, device.xp.ndarray)

    def test_copydata_initializes(self, xp):
        p, q = Parameter(), Parameter(xp.arange(3.0))
        p.copydata(q)
        assert_array_equal(p.array, q.array)
        assert isinstance(q.array, xp.ndarray) and type(p.array) is np.ndarray  # each where it was
        late = Parameter(5)
        q.copydata(late)
        assert_array_equal(q.array, [5, 5, 5])
        assert_array_equal(late.array, [5, 5, 5])
        with pytest.raises(AttributeError, match='cannot be initialized'):
            q.copydata(Variable())

    def test_pickle_keeps_the_initializer(self, device):
        p = Parameter(initializers.Constant(2.0), name='W')
        p.to_device(device)
        p = pickle.loads(pickle.dumps(p))
        p.initialize(2)
        assert p.name == 'W' and p.device == device
        assert_array_equal(p.array, [2, 2])


def test_unchain_backward_forgets_the_graph(ones):
    x = Variable(ones(2))
    y = F.sum(F.exp(x * 2))
    middle = y.creator.inputs[0]
    y.unchain_backward()
    assert y.creator is None and middle.creator_node is None


@pytest.mark.host('the device of the test is of NumPy')
def test_a_device_that_the_array_does_not_tell_is_remembered():
    class Elsewhere(chainlite.backend.Device):
        xp = np
        supported_array_types = (np.ndarray,)

        def send_array(self, array):
            return array.copy()

    x, elsewhere = Variable(np.ones(2, 'f')), Elsewhere()
    x.to_device(elsewhere)
    assert x.device is elsewhere
    x.to_cpu()
    assert x.device == chainlite.get_device('@numpy')
