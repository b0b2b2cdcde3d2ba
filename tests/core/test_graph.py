"""Function nodes and the backward pass: what is recorded and retained, gradients of any order, hooks, debug mode."""

import gc
import weakref

import pytest
from comparing import assert_allclose, assert_array_equal

import chainlite
import chainlite.functions as F
from chainlite import Function, FunctionHook, FunctionNode, Variable


@pytest.fixture
def variable(xp):
    return lambda *values, dtype='f': Variable(xp.array(values, dtype))


class Double(FunctionNode):
    def forward(self, inputs):
        return (inputs[0] * 2,)

    def backward(self, target_input_indexes, grad_outputs):
        return (grad_outputs[0] * 2,)


class TestRecording:
    def test_no_backprop_mode_records_nothing(self, variable):
        x = variable(1, 2)
        with chainlite.no_backprop_mode():
            y = x * 2
            with chainlite.force_backprop_mode():
                z = x * 2
        assert y.creator is None and z.creator is not None

    @pytest.mark.parametrize('enable_double_backprop', [False, True])
    @pytest.mark.parametrize('name', ['tanh', 'sigmoid', 'exp', 'relu'])
    def test_an_array_assigned_to_a_result_counts(self, name, enable_double_backprop, variable):
        """As in Chainer, whose functions retain the variable."""
        x = variable(*[[[0.0, 1.0]]] * 3)
        h = F.convolution_2d(x[:, None], x.xp.ones((1, 1, 1, 1), 'f'))
        y = getattr(F, name)(h)  # maybe channels last
        y.array = x.xp.full_like(y.array, 0.5)
        y.grad = x.xp.ones_like(y.array)
        y.backward(enable_double_backprop=enable_double_backprop)
        expected = {'tanh': 0.75, 'sigmoid': 0.25, 'exp': 0.5, 'relu': 1}[name]
        assert_allclose(x.grad, x.xp.full_like(x.array, expected), rtol=1e-6)

    def test_a_result_without_its_array_is_still_differentiated(self, variable):
        x = variable(0, 1)
        y = F.exp(x)
        y.grad = expected = y.array
        y.array = None
        y.backward()
        assert_allclose(x.grad, expected**2)

    def test_arrays_die_with_their_variables_unless_retained(self, variable):
        x = variable(1, 2)
        y = x + 1  # addition retains nothing
        z = F.exp(y)  # the exponential retains its output
        array, output = weakref.ref(y.array), z.array
        del y
        gc.collect()
        assert array() is None
        F.sum(z).backward()
        assert_array_equal(x.grad, output)

    def test_only_what_some_gradient_reads_is_retained(self, xp, variable):
        x, w = variable(1, 2), Variable(xp.array([3, 4], 'f'), requires_grad=False)
        y = x * w  # x needs a gradient, and it is w that it reads
        assert y.creator_node.inputs[0].data is None
        assert y.creator_node.inputs[1].data is w.array

    def test_a_retained_output_comes_back_after_its_variable_died(self, xp, variable):
        x = variable(0.5)
        node = F.tanh(x).creator_node
        gc.collect()
        (y,) = node.get_retained_outputs()
        assert_array_equal(y.array, xp.tanh(x.array))
        assert y.creator_node is node

    def test_output_must_be_a_tuple_of_arrays(self, variable):
        class Wrong(FunctionNode):
            def forward(self, inputs):
                return inputs[0]

        with pytest.raises(TypeError, match=r'forward output must be a tuple \(Wrong\)'):
            Wrong().apply((variable(1),))

    def test_calling_a_node_says_what_to_use(self, variable):
        with pytest.raises(
            RuntimeError, match=r'\(Double\) which is derived from chainer.FunctionNode has been called'
        ):
            Double()(variable(1))

    def test_check_line_gives_chainers_error(self, xp):
        with pytest.raises(
            chainlite.utils.type_check.InvalidType, match=r'in: ReLU \(Forward\)\n\nExpect: x.dtype.kind == f'
        ):
            F.relu(xp.ones(2, 'i'))

    def test_checks_can_be_turned_off(self, xp):
        with chainlite.using_config('type_check', False):
            assert F.relu(xp.array([-1, 1])).array.tolist() == [0, 1]

    @pytest.mark.gpu
    def test_outputs_are_arrays_of_one_library(self):
        import cupy
        import numpy

        class Mixed(FunctionNode):
            def forward(self, inputs):
                return numpy.zeros(1), cupy.zeros(1)

        with pytest.raises(TypeError, match=r'incompatible array types are mixed in the forward output \(Mixed\)'):
            Mixed().apply((cupy.ones(1),))

    def test_an_output_that_is_none_is_retained_as_none(self, variable):
        class Halves(FunctionNode):
            def forward(self, inputs):
                self.retain_outputs((0, 1))
                return inputs[0] * 2, None

            def backward(self, target_input_indexes, grad_outputs):
                y, nothing = self.get_retained_outputs()
                assert nothing is None
                return (grad_outputs[0] * y,)

        x = variable(3)
        F.sum(Halves().apply((x,))[0]).backward()
        assert_array_equal(x.grad, [6])


class TestBackward:
    def test_through_a_diamond(self, variable):
        x = variable(3)
        y = x * x
        z = y * y + y
        F.sum(z).backward()
        assert_allclose(x.grad, [4 * 27 + 6])

    def test_a_long_chain_does_not_recurse(self, variable):
        x = y = variable(1)
        for _ in range(5000):
            y = y + 1
        F.sum(y).backward()
        assert_array_equal(x.grad, [1])

    def test_scalars_start_from_one_times_the_loss_scale(self, variable):
        x = variable(2)
        F.sum(x * 3).backward(loss_scale=8)
        assert_array_equal(x.grad, [24])
        assert x._loss_scale == 8

    def test_arrays_need_a_gradient(self, xp, variable):
        x = variable(1, 2)
        y = x * 3
        y.grad = xp.array([1, 10], 'f')
        y.backward()
        assert_array_equal(x.grad, [3, 30])

    def test_gradients_in_between_are_kept_on_request(self, variable):
        x = variable(2)
        y = x * 3
        F.sum(y * y).backward()
        assert y.grad is None
        F.sum(y * y).backward(retain_grad=True)
        assert_array_equal(y.grad, [12])

    def test_twice_over_one_graph(self, variable):
        x = variable(2)
        y = F.sum(x * x)
        y.backward()
        y.backward()
        assert_array_equal(x.grad, [8])

    def test_double_backprop(self, variable):
        x = variable(2, 3, dtype='d')
        F.sum(x**3).backward(enable_double_backprop=True)
        gx = x.grad_var
        x.cleargrad()
        F.sum(gx * gx).backward()
        assert_allclose(x.grad, 36 * x.array**3)

    def test_a_users_node_is_differentiated_on_variables(self, variable):
        x = variable(2)
        (y,) = Double().apply((x,))
        (gx,) = chainlite.grad([y * y], [x], enable_double_backprop=True)
        assert_array_equal(chainlite.grad([gx], [x])[0].array, [8])

    def test_a_subclass_with_its_own_backward_is_asked(self, variable):
        class Straight(F.activation.relu.ReLU):
            def backward(self, target_input_indexes, grad_outputs):
                return grad_outputs

        x = variable(-1, 1)
        F.sum(Straight().apply((x,))[0]).backward()
        assert_array_equal(x.grad, [1, 1])

    def test_backward_accumulate_sees_what_is_known(self, xp, variable):
        known = []

        class Accumulating(Double):
            def backward_accumulate(self, target_input_indexes, grad_outputs, grad_inputs):
                known.append(grad_inputs)
                return super().backward_accumulate(target_input_indexes, grad_outputs, grad_inputs)

        x = variable(1)
        x.grad = xp.array([10], 'f')
        F.sum(Accumulating().apply((x,))[0]).backward()
        assert known[0][0].array.tolist() == [10]
        assert_array_equal(x.grad, [12])

    @pytest.mark.parametrize(
        'gradients, error, match',
        [
            (
                lambda xp: (Variable(xp.ones(3, 'f')),),
                ValueError,
                'shape of gradients returned from backward is incorrect',
            ),
            (
                lambda xp: (Variable(xp.ones(2, 'd')),),
                TypeError,
                'dtype of gradients returned from backward is incorrect',
            ),
            (
                lambda xp: (None, None, None),
                ValueError,
                'number of gradients returned from backward is incorrect: 3 != expected 1',
            ),
            (lambda xp: (xp.ones(2, 'f'),), ValueError, 'type of gradients returned from backward is incorrect'),
        ],
    )
    def test_wrong_gradients_name_the_function(self, xp, variable, gradients, error, match):
        class Wrong(Double):
            def backward(self, target_input_indexes, grad_outputs):
                return gradients(xp)

        x = variable(1, 2)
        (y,) = Wrong().apply((x,))
        y.grad = xp.ones(2, 'f')
        with pytest.raises(error, match=match) as info:
            y.backward()
        assert 'Wrong' in str(info.value)
        assert x.grad is None

    def test_from_several_variables(self, variable):
        x = variable(2)
        chainlite.backward([x * 2, x * 3], [variable(1), variable(10)])
        assert_array_equal(x.grad, [32])

    def test_from_several_variables_nothing_starts_where_there_is_no_gradient(self, variable):
        x = variable(2)
        y, z = x * 2, x * 3
        z.grad_var = variable(1)
        with pytest.warns(RuntimeWarning, match='outputs contains a Variable without grad, or duplicate outputs'):
            chainlite.backward([y, z, z])
        assert_array_equal(x.grad, [3])

    def test_from_several_variables_sums_gradients_given_for_the_same_one_and_skips_none_silently(self, variable):
        x, gy = variable(2), variable(3)
        y = x * 2
        chainlite.backward([y, x, y, y], [gy, variable(100), variable(5), None])
        assert_array_equal(x.grad, [116])
        assert_array_equal(gy.array, [3])
        chainlite.backward([x, x], [gy, variable(5)])
        assert_array_equal(x.grad, [124])

    def test_from_several_variables_adds_to_the_gradient_of_a_leaf(self, variable):
        x = variable(2)
        x.grad_var = variable(7)
        chainlite.backward([x, x * 2], [variable(5), variable(5)])
        assert_array_equal(x.grad, [22])
        with pytest.raises(ValueError, match='semantics for retain_grad=True is under discussion'):
            chainlite.backward([x], retain_grad=True)

    def test_from_an_array_of_one_element_is_deprecated(self, variable):
        x = variable(2)
        with pytest.warns(DeprecationWarning, match='Apply chainer.functions.squeeze to obtain a scalar variable'):
            (x * 2).backward()
        assert_array_equal(x.grad, [2])

    def test_a_gradient_that_is_retained_is_the_same_variable(self, variable):
        x, gy = variable(2), variable(3)
        y = x * 2
        y.grad_var = gy
        y.backward(retain_grad=True)
        assert y.grad_var is gy

    def test_no_gradient_passes_through_a_variable_that_was_unchained(self, variable):
        x = variable(1, 2)
        h0, h1 = F.split_axis(x, 2, 0)
        w = F.sum(h0) + F.sum(h1)
        h0.unchain()
        (gx,) = chainlite.grad([w], [x])
        assert_array_equal(gx.array, [0, 1])
        assert chainlite.grad([F.sum(h0)], [x]) == [None]

    @pytest.mark.parametrize('double', [False, True])
    @pytest.mark.parametrize(
        'start, expected',
        [
            (lambda a, b, **options: b.backward(**options), [3, 3, 2, 2]),
            (lambda a, b, **options: F.sum(b).backward(**options), [3, 3, 1, 1]),
            (lambda a, b, **options: chainlite.backward([b], **options), [3, 3, 2, 2]),
        ],
    )
    def test_gradients_that_other_outputs_were_given_count(self, xp, variable, start, expected, double):
        x = variable(1, 2, 3, 4)
        a, b = F.split_axis(x, 2, 0)
        a.grad, b.grad = xp.array([3, 3], 'f'), xp.array([2, 2], 'f')
        start(a, b, enable_double_backprop=double)
        assert_array_equal(x.grad, expected)
        assert a.grad is None

    def test_an_output_without_a_gradient_may_start_from_those_of_others(self, xp, variable):
        x = variable(1, 2, 3, 4)
        a, b = F.split_axis(x, 2, 0)
        a.grad = xp.array([3, 3], 'f')
        b.backward()
        assert_array_equal(x.grad, [3, 3, 0, 0])

    @pytest.mark.parametrize('f', [F.relu, F.identity, lambda x: F.split_axis(x, 2, 0)[1], lambda x: x[:0]])
    def test_a_start_of_several_elements_without_a_gradient_is_an_error(self, variable, f):
        x = variable(1, 2, 3, 4)
        with pytest.raises(TypeError, match='set its grad, or sum it up first'):
            f(x).backward()
        assert x.grad is None
        x.backward()  # there is nothing to do
        f(Variable(x.array, requires_grad=False)).backward()


class TestGrad:
    def test_touches_nothing_else(self, variable):
        x, w = variable(2), variable(5)
        y = x * w
        (gx,) = chainlite.grad([y * y], [x])
        assert_array_equal(gx.array, [100])
        assert x.grad is None and w.grad is None and y.grad is None

    def test_of_a_variable_and_of_what_it_came_from(self, variable):
        x = variable(0.5)
        y = F.exp(x)
        z = F.exp(y)
        gy, gx = chainlite.grad([z], [y, x])
        assert_allclose(gy.array, z.array)
        assert_allclose(gx.array, z.array * y.array)

    def test_is_none_where_nothing_depends(self, variable):
        assert chainlite.grad([variable(1) * 2], [variable(1)]) == [None]

    def test_adds_to_given_gradients(self, variable):
        x = variable(2)
        (gx,) = chainlite.grad([x * x], [x], [variable(3)], [variable(100)])
        assert_array_equal(gx.array, [112])

    def test_arguments_must_be_sequences_of_equal_length(self, variable):
        x = variable(1)
        with pytest.raises(TypeError, match='outputs must be a tuple or a list'):
            chainlite.grad(x, [x])
        with pytest.raises(ValueError, match='same length'):
            chainlite.grad([x], [x], [None, None])


class TestOldStyleFunction:
    class Cube(Function):
        def forward(self, inputs):
            return (inputs[0] ** 3,)

        def backward(self, inputs, grad_outputs):
            return (3 * inputs[0] ** 2 * grad_outputs[0],)

    def test_gradient(self, variable):
        x = variable(2)
        y = self.Cube()(x)
        assert isinstance(y.creator, self.Cube) and y.creator_node.label == 'Cube'
        F.sum(y).backward()
        assert_array_equal(x.grad, [12])

    def test_an_instance_may_be_used_again(self, variable):
        cube, x = self.Cube(), variable(2)
        F.sum(cube(cube(x))).backward()
        assert_array_equal(x.grad, [9 * 2**8])

    def test_cannot_be_differentiated_twice(self, variable):
        x = variable(2)
        y = self.Cube()(x)
        F.sum(y * y).backward(enable_double_backprop=True)
        for differentiate in F.sum(x.grad_var).backward, lambda: chainlite.grad([x.grad_var], [y]):
            with pytest.raises(RuntimeError, match='cannot twice-differentiate an old style Function "Cube"'):
                differentiate()


class TestHooks:
    class Log(FunctionHook):
        name = 'Log'

        def __init__(self):
            self.calls = []

        def forward_preprocess(self, function, in_data):
            self.calls.append(('forward', function.label))

        def backward_postprocess(self, function, in_data, out_grad):
            self.calls.append(('backward', function.label, out_grad[0].tolist()))

    def test_sees_forward_and_backward(self, variable):
        x, log = variable(1, 2), self.Log()
        with log:
            y = F.sum(F.exp(x))
            y.backward()
        assert log.calls[:2] == [('forward', 'exp'), ('forward', 'Sum')]
        assert [c[1] for c in log.calls if c[0] == 'backward'] == ['Sum', 'exp']
        F.exp(x)
        assert len([c for c in log.calls if c == ('forward', 'exp')]) == 1

    def test_of_one_function(self, variable):
        node, log = Double(), self.Log()
        node.add_hook(log)
        node.apply((variable(1),))
        assert log.calls == [('forward', 'Double')]
        with pytest.raises(KeyError, match='already exists'):
            node.add_hook(log)
        node.delete_hook('Log')
        with pytest.raises(KeyError):
            node.delete_hook('Log')

    @pytest.mark.host('nothing is computed')
    def test_one_name_at_a_time(self):
        with self.Log(), pytest.raises(KeyError, match='Log already exists'):
            self.Log().__enter__()


class TestDebugMode:
    @pytest.fixture(autouse=True)
    def debug(self):
        with chainlite.DebugMode(True):
            yield

    def test_an_error_in_the_backward_pass_keeps_its_arguments_and_names_the_line_of_the_call(self, variable):
        class Failing(Double):
            def backward(self, target_input_indexes, grad_outputs):
                raise KeyError('no such thing', 3)

        y = F.sum(Failing().apply((variable(1),))[0])  # the line
        with pytest.raises(KeyError, match='no such thing') as info:
            y.backward()
        assert info.value.args[0].endswith('y = F.sum(Failing().apply((variable(1),))[0])  # the line\n')
        assert info.value.args[1:] == (3,)

    @pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')
    def test_nan_in_the_forward_pass(self, variable):
        with pytest.raises(RuntimeError, match='NaN is detected on forward computation of log'):
            F.log(variable(-1))

    @pytest.mark.filterwarnings('ignore:(invalid value|divide by zero):RuntimeWarning')
    def test_nan_in_the_backward_pass_names_the_line_of_the_call(self, variable):
        x = variable(0)
        y = F.sum(F.sqrt(x) * 0)  # the line
        with pytest.raises(RuntimeError, match='NaN is detected on backward computation of sqrt') as info:
            y.backward()
        assert 'F.sqrt(x) * 0)  # the line' in str(info.value)
