"""Arrays that are channels last stay inside: whoever looks at one is shown a C-contiguous array, which takes its
place."""

import copy
import pickle

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite import FunctionHook, FunctionNode, Variable


def last(*shape, seed=0):
    """A random array (n, c, *dims) that is channels last."""
    n, c, *sizes = shape
    x = np.random.default_rng(seed).standard_normal((n, *sizes, c)).astype('f')
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


class ChannelsLast(FunctionNode):
    """Returns its input times two, channels last; its gradient too. One of ours, in what it says of itself."""

    any_layout = gives_new = True

    def forward(self, inputs):
        (x,) = inputs
        self.retain_outputs((0,))
        y = last(*x.shape)
        np.multiply(x, 2, out=y)
        return (y,)

    def backward(self, indexes, grad_outputs):
        self.seen = self.get_retained_outputs()[0].array
        return ChannelsLast().apply(grad_outputs)


class Looks(FunctionNode):
    """A node that is not ours: remembers the arrays that it is given."""

    def forward(self, inputs):
        self.retain_inputs((0,))
        self.given = inputs[0]
        return (inputs[0] * 3,)

    def backward(self, indexes, grad_outputs):
        self.retained = self.get_retained_inputs()[0].array
        self.grad = grad_outputs[0].array
        return (grad_outputs[0] * 3,)


@pytest.fixture
def x():
    return Variable(np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype('f'))


def is_hidden(y):
    return y._array is None and not y._hidden.flags.c_contiguous


def test_looking_shows_a_contiguous_array_in_its_place(x):
    (y,) = ChannelsLast().apply((x,))
    assert is_hidden(y) and is_hidden(F.relu(y))
    array = y.array
    assert array.flags.c_contiguous and y.array is array and y.data is array and y.raw_array is array
    np.testing.assert_array_equal(array, 2 * x.array)


def test_shape_dtype_and_length_can_be_asked_for_without_looking(x):
    (y,) = ChannelsLast().apply((x,))
    assert (y.shape, y.ndim, y.size, y.dtype, len(y)) == ((2, 3, 4, 5), 4, 120, np.float32, 2)
    assert y.device == x.device and y.label == '(2, 3, 4, 5), float32' and is_hidden(y)


def test_what_is_written_to_the_array_counts(x):
    (y,) = ChannelsLast().apply((x,))
    z = F.square(y)
    y.array[...] = 5
    z.grad = np.ones_like(z.array)
    z.backward(retain_grad=True)
    np.testing.assert_array_equal(y.grad, np.full(x.shape, 10, 'f'))
    assert (y.creator_node.seen == 5).all()


def test_nodes_of_others_are_given_contiguous_arrays(x):
    node = Looks()
    (y,) = ChannelsLast().apply((x,))
    (z,) = node.apply((y,))
    (w,) = ChannelsLast().apply((z,))
    assert node.given.flags.c_contiguous and y.array is node.given
    w.grad = w.array
    del y
    w.backward()
    assert node.retained is node.given
    assert node.grad.flags.c_contiguous
    np.testing.assert_allclose(x.grad, 12 * w.array, rtol=1e-6)


def test_subclasses_with_a_forward_of_their_own_are_not_ours(x):
    class MyConvolution(F.connection.convolution_2d.Convolution2DFunction):
        def forward(self, inputs):
            assert inputs[0].flags.c_contiguous
            return super().forward(inputs)

    (y,) = ChannelsLast().apply((x,))
    W = np.ones((3, 3, 3, 3), 'f')
    (z,) = MyConvolution().apply((y, W))
    np.testing.assert_array_equal(z.array, F.convolution_2d(x.array * 2, W).array)


def test_hooks_are_shown_contiguous_arrays(x):
    class Hook(FunctionHook):
        def forward_preprocess(self, function, in_data):
            assert all(a.flags.c_contiguous for a in in_data)

        def backward_preprocess(self, function, in_data, out_grad):
            assert all(a is None or a.flags.c_contiguous for a in in_data + out_grad)
            self.called = True

        forward_postprocess, backward_postprocess = forward_preprocess, backward_preprocess

    with Hook() as hook:
        (y,) = ChannelsLast().apply((x,))
        z = F.relu(F.square(y))
    z.grad = z.array
    with hook:
        z.backward()
    assert hook.called


def test_gradients_are_shown_contiguous(x):
    (y,) = ChannelsLast().apply((x,))
    y.grad = np.ones(y.shape, 'f')
    y.backward()
    assert x.grad.flags.c_contiguous and x.grad is x.grad
    (gx,) = chainlite.grad([y], [x], [Variable(np.ones(y.shape, 'f'))], enable_double_backprop=True)
    assert gx.array.flags.c_contiguous


def test_copies_share_the_array(x):
    (y,) = ChannelsLast().apply((x,))
    assert copy.copy(y).array is y.array
    (y,) = ChannelsLast().apply((x,))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(y)).array, 2 * x.array)


def test_an_assigned_array_replaces_the_hidden_one(x):
    (y,) = ChannelsLast().apply((x,))
    y.array = new = np.zeros(3, 'f')
    assert y.array is new and y.shape == (3,)


def test_an_array_of_the_user_stays_as_it_is():
    array = last(2, 3, 4, 5)
    x = Variable(array)
    F.relu(x)
    assert x.array is array
    x.grad = array
    assert x.grad is array


@pytest.mark.parametrize('shape', [(2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)])
def test_functions_give_the_same_for_both_layouts(shape):
    """Those that take any layout, and those that do not."""
    array = last(*shape)
    x, y = Variable(array), Variable(np.ascontiguousarray(array))
    ndim = len(shape) - 2
    W = last(4, 3, *[2] * ndim, seed=1)
    gamma = np.ones(3, 'f')
    for function in (
        F.relu,
        F.softmax,
        F.flatten,
        lambda x: x + np.ascontiguousarray(array),
        lambda x: F.convolution_nd(x, W),
        lambda x: F.deconvolution_nd(x, last(3, 4, *[2] * ndim)),
        lambda x: F.max_pooling_nd(x, 2),
        lambda x: F.average_pooling_nd(x, 2),
        lambda x: F.batch_normalization(x, gamma, gamma),
        lambda x: F.sum(x, 1),
        lambda x: F.concat((x, x)),
    ):
        outputs = []
        for v in (x, y):
            z = function(ChannelsLast().apply((v,))[0] if v is x else v * 2)
            z.grad = np.ones_like(z.array)
            v.cleargrad()
            z.backward()
            outputs.append((z.array, v.grad))
        np.testing.assert_allclose(outputs[0][0], outputs[1][0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(outputs[0][1], outputs[1][1], rtol=1e-4, atol=1e-4)
