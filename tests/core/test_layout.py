"""Arrays that are channels last stay inside: whoever looks at one is shown a C-contiguous array, which takes its
place."""

import copy
import pickle

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite import FunctionHook, FunctionNode, Variable
from chainlite.backends import cuda


def last(*shape, seed=0, xp=np):
    """A random array (n, c, *dims) that is channels last."""
    n, c, *sizes = shape
    x = xp.asarray(np.random.default_rng(seed).standard_normal((n, *sizes, c)).astype('f'))
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def assert_close(actual, expected, tolerance=1e-6):
    to_host = chainlite.get_device('@numpy').send
    np.testing.assert_allclose(to_host(actual), to_host(expected), rtol=tolerance, atol=tolerance)


def assert_equal(actual, expected):
    assert actual.shape == expected.shape and bool((actual == expected).all())


class ChannelsLast(FunctionNode):
    """Returns its input times two, channels last; its gradient too. One of ours, in what it says of itself."""

    any_layout = gives_new = True

    def forward(self, inputs):
        (x,) = inputs
        self.retain_outputs((0,))
        y = last(*x.shape, xp=chainlite.backend.get_array_module(x))
        y[...] = x * 2
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
def x(xp):
    return Variable(xp.asarray(np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype('f')))


def is_hidden(y):
    return y._array is None and not y._hidden.flags.c_contiguous


def test_looking_shows_a_contiguous_array_in_its_place(x):
    (y,) = ChannelsLast().apply((x,))
    assert is_hidden(y) and is_hidden(F.relu(y))
    array = y.array
    assert array.flags.c_contiguous and y.array is array and y.data is array and y.raw_array is array
    assert_equal(array, 2 * x.array)


def test_shape_dtype_and_length_can_be_asked_for_without_looking(x):
    (y,) = ChannelsLast().apply((x,))
    assert (y.shape, y.ndim, y.size, y.dtype, len(y)) == ((2, 3, 4, 5), 4, 120, np.float32, 2)
    assert y.device == x.device and y.label == '(2, 3, 4, 5), float32' and is_hidden(y)


def test_what_is_written_to_the_array_counts(x):
    (y,) = ChannelsLast().apply((x,))
    z = F.square(y)
    y.array[...] = 5
    z.grad = z.xp.ones_like(z.array)
    z.backward(retain_grad=True)
    assert y.grad.shape == x.shape and (y.grad == 10).all()
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
    assert_close(x.grad, 12 * w.array)


def test_subclasses_with_a_forward_of_their_own_are_not_ours(x):
    class MyConvolution(F.connection.convolution_2d.Convolution2DFunction):
        def forward(self, inputs):
            assert inputs[0].flags.c_contiguous
            return super().forward(inputs)

    (y,) = ChannelsLast().apply((x,))
    W = x.xp.ones((3, 3, 3, 3), 'f')
    (z,) = MyConvolution().apply((y, W))
    assert_equal(z.array, F.convolution_2d(x.array * 2, W).array)


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
    y.grad = y.xp.ones(y.shape, 'f')
    y.backward()
    assert x.grad.flags.c_contiguous and x.grad is x.grad
    (gx,) = chainlite.grad([y], [x], [Variable(y.xp.ones(y.shape, 'f'))], enable_double_backprop=True)
    assert gx.array.flags.c_contiguous


def test_copies_share_the_array(x):
    (y,) = ChannelsLast().apply((x,))
    assert copy.copy(y).array is y.array
    (y,) = ChannelsLast().apply((x,))
    assert_equal(pickle.loads(pickle.dumps(y)).array, 2 * x.array)


@pytest.mark.parametrize('axis', [(1, 3), (0, 2), (1, 2), (2,), (0, 2, 3)])
def test_arrays_of_another_layout_are_shown_as_they_are(axis, xp):
    """Normalized over axes that are not neighbours they come in one."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 8, 8, 16))
    gamma, beta = rng.standard_normal((2, *[n for i, n in enumerate(x.shape) if i not in axis]))
    at = tuple([None if i in axis else slice(None) for i in range(4)])
    d = x - x.mean(axis, keepdims=True)
    expected = d / np.sqrt((d * d).mean(axis, keepdims=True) + 2e-5) * gamma[at] + beta[at]
    y = F.batch_normalization(*[xp.asarray(a, 'f') for a in (x, gamma, beta)], axis=axis)
    assert_close(y.array, expected, 1e-4)
    assert y.array.flags.c_contiguous


@pytest.mark.parametrize('shape', [(4096,), (64, 80), (8, 16, 40), (4, 8, 16, 10)])
def test_retained_results_of_any_layout_are_shown_as_they_are(shape, xp):
    class Reversed(FunctionNode):
        """Gives an array that is neither C-contiguous nor channels last, and wants to see it again."""

        def forward(self, inputs):
            self.retain_outputs((0,))
            y = xp.empty((*shape[::-1], 2), 'f')[..., 0].T
            y[...] = inputs[0]
            return (y,)

        def backward(self, indexes, grad_outputs):
            self.seen = self.get_retained_outputs()[0].array
            return grad_outputs

    x = Variable(xp.arange(np.prod(shape), dtype='f').reshape(shape))
    node = Reversed()
    F.sum(F.identity(*node.apply((x,)))).backward()
    assert_equal(node.seen, x.array)


def test_an_assigned_array_replaces_the_hidden_one(x):
    (y,) = ChannelsLast().apply((x,))
    y.array = new = y.xp.zeros(3, 'f')
    assert y.array is new and y.shape == (3,)


def test_an_array_of_the_user_stays_as_it_is(xp):
    array = last(2, 3, 4, 5, xp=xp)
    x = Variable(array)
    F.relu(x)
    assert x.array is array
    x.grad = array
    assert x.grad is array


@pytest.mark.parametrize('shape', [(2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)])
def test_functions_give_the_same_for_both_layouts(shape, xp):
    """Those that take any layout, and those that do not."""
    array = last(*shape, xp=xp)
    x, y = Variable(array), Variable(xp.ascontiguousarray(array))
    ndim = len(shape) - 2
    W = last(4, 3, *[2] * ndim, seed=1, xp=xp)
    gamma = xp.ones(3, 'f')
    for function in (
        F.relu,
        F.softmax,
        F.flatten,
        lambda x: x + xp.ascontiguousarray(array),
        lambda x: F.convolution_nd(x, W),
        lambda x: F.deconvolution_nd(x, last(3, 4, *[2] * ndim, xp=xp)),
        lambda x: F.max_pooling_nd(x, 2),
        lambda x: F.average_pooling_nd(x, 2),
        lambda x: F.batch_normalization(x, gamma, gamma),
        lambda x: F.sum(x, 1),
        lambda x: F.concat((x, x)),
    ):
        outputs = []
        for v in (x, y):
            z = function(ChannelsLast().apply((v,))[0] if v is x else v * 2)
            z.grad = xp.ones_like(z.array)
            v.cleargrad()
            z.backward()
            outputs.append((z.array, v.grad))
        assert_close(outputs[0][0], outputs[1][0], 1e-5)
        assert_close(outputs[0][1], outputs[1][1], 1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', ['e', 'f', 'd'])
@pytest.mark.parametrize('mode', ['tf32', 'float32'])
def test_images_on_a_gpu_become_channels_last_where_tensor_cores_convolve(dtype, mode):
    """And stay so to the end, forward and backward."""
    from chainlite.backends.gpu.conv_implicit import has_tensor_cores

    cupy = cuda.cupy
    images = Variable(cupy.asarray(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(dtype)))
    W, V = [cupy.asarray(np.random.default_rng(1).standard_normal((8, c, 3, 3)).astype(dtype)) for c in (3, 8)]
    gamma = cupy.ones(8, dtype)
    steps, gradients = [], []

    class Watch(FunctionNode):
        any_layout = gives_new = True

        def forward(self, inputs):
            return inputs

        def backward_arrays(self, indexes, gys):
            gradients.append(gys[0].strides[1])
            return gys

    def network(x):
        yield (h := F.convolution_2d(x, W, pad=1))
        yield (h := Watch().apply((h,))[0])
        yield (h := F.relu(F.batch_normalization(h, gamma, gamma)))
        yield F.relu(F.batch_normalization(F.convolution_2d(h, V, pad=1), gamma, gamma) + h)
        yield F.max_pooling_2d(h, 2)
        yield F.average_pooling_2d(h, 3, 2, 1)
        yield h * 2 - F.sigmoid(h)

    with chainlite.using_config('compute_mode', mode):
        steps = [(y._any_array.strides[1], y) for y in network(images)]
        y = steps[3][1]
        F.sum(y).backward()
        layout = {has_tensor_cores(images.array)}
    assert {stride == images.dtype.itemsize for stride, _ in steps} == layout
    assert {stride == images.dtype.itemsize for stride in gradients} == layout
    assert y.array.flags.c_contiguous and images.grad.flags.c_contiguous
