"""Recurrent and random functions, scores, and forget: what the table of samples does not say."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite.backends.cuda import to_cpu
from chainlite.utils.type_check import InvalidType

xp = np  # in tests that take on_device, the device's


def floats(*shape):
    return xp.asarray(np.random.RandomState(sum(shape)).uniform(-1, 1, shape).astype(np.float32))


def arguments(n, sizes=(3, 2), n_layers=1, directions=1, in_size=4, size=2, seed=0):
    """ws, bs, xs of a recurrent function with n weights in a layer."""
    rng, ws, bs = np.random.RandomState(seed), [], []
    for layer in range(n_layers):
        for _ in range(directions):
            below = in_size if layer == 0 else size * directions
            ws.append([xp.asarray(rng.randn(size, below if k < n // 2 else size), 'f') for k in range(n)])
            bs.append([xp.asarray(rng.randn(size), 'f') for _ in range(n)])
    return ws, bs, [xp.asarray(rng.randn(b, in_size), 'f') for b in sizes]


def test_gates_of_lstm_take_turns_in_the_columns(on_device):
    c_prev, x = floats(2, 3), floats(2, 12)
    c, h = to_cpu([y.array for y in F.lstm(c_prev, x)])
    c_prev, x = to_cpu([c_prev, x])
    a, i, f, o = (x[:, k::4] for k in range(4))
    expected = np.tanh(a) / (1 + np.exp(-i)) + c_prev / (1 + np.exp(-f))
    np.testing.assert_allclose(c, expected, rtol=1e-5)
    np.testing.assert_allclose(h, np.tanh(expected) / (1 + np.exp(-o)), rtol=1e-5)


@pytest.mark.parametrize('function', [F.lstm, F.slstm, F.tree_lstm])
def test_cells_are_nodes_with_the_names_of_the_functions(on_device, function):
    n = {F.lstm: 1, F.slstm: 2, F.tree_lstm: 2}[function]
    xs = [floats(3, 2)] * n + ([floats(3, 10)] if function is F.tree_lstm else [floats(3, 8)] * n)
    c, h = function(*[chainlite.Variable(x) for x in xs])
    assert c.creator is h.creator
    assert c.creator.label.lower() == function.__name__.replace('_', '')


@pytest.mark.parametrize('wanted', [0, 1])
def test_the_gradient_of_one_output_alone(device, wanted):
    arrays = floats(4, 2), floats(3, 8)
    c, x = [chainlite.Variable(device.send(a)) for a in arrays]
    F.sum(F.lstm(c, x)[wanted]).backward()
    for v, a in zip((c, x), arrays):
        expected = numerical(lambda: F.sum(F.lstm(*arrays)[wanted]).array, a)
        np.testing.assert_allclose(to_cpu(v.grad), expected, atol=2e-3)


def numerical(f, x, eps=1e-2):
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + eps
        up = f()
        x[i] = kept - eps
        g[i] = (up - f()) / (2 * eps)
        x[i] = kept
    return g


def test_gradients_of_cells_as_functions_are_those_of_the_nodes(on_device):
    from chainlite.functions.rnn.lstm import LSTMGrad

    c_prev, x = chainlite.Variable(floats(3, 2)), chainlite.Variable(floats(2, 8))
    gc, gh = chainlite.Variable(floats(3, 2) + 1), chainlite.Variable(floats(2, 2))
    c, h = F.lstm(c_prev, x)
    for found, expected in zip(LSTMGrad()(c_prev, x, c, gc, gh), chainlite.grad([c, h], [c_prev, x], [gc, gh])):
        np.testing.assert_allclose(to_cpu(found.array), to_cpu(expected.array), rtol=1e-5)


@pytest.mark.parametrize(
    'c, x, message',
    [
        (floats(3, 2), floats(3, 7), r'x.shape\[1\] == 4 \* c.shape\[1\]\nActual: 7 != 8'),
        (floats(3, 2), floats(4, 8), r'x.shape\[0\] <= c.shape\[0\]\nActual: 4 > 3'),
        (floats(3, 2), floats(3, 8).astype('d'), 'x.dtype == c.dtype\nActual: float64 != float32'),
    ],
)
def test_lstm_refuses_what_does_not_fit(device, c, x, message):
    with pytest.raises(InvalidType, match=message):
        F.lstm(*device.send((c, x)))


# -- whole sequences --------------------------------------------------------------------------------------------------
def test_a_sequence_in_a_batch_is_as_the_sequence_alone(on_device):
    lengths = 3, 2, 2, 1
    sizes = [sum(n > t for n in lengths) for t in range(3)]
    ws, bs, xs = arguments(8, sizes, n_layers=2, directions=2)
    hx, cx = floats(4, 4, 2), floats(4, 4, 2) + 1
    hy, cy, ys = F.n_step_bilstm(2, 0.0, hx, cx, ws, bs, xs)
    for k, n in enumerate(lengths):
        one = slice(k, k + 1)
        alone = F.n_step_bilstm(2, 0.0, hx[:, one], cx[:, one], ws, bs, [x[one] for x in xs[:n]])
        np.testing.assert_allclose(to_cpu(alone[0].array), to_cpu(hy.array)[:, one], atol=1e-6)
        np.testing.assert_allclose(to_cpu(alone[1].array), to_cpu(cy.array)[:, one], atol=1e-6)
        for y, expected in zip(alone[2], ys):
            np.testing.assert_allclose(to_cpu(y.array), to_cpu(expected.array)[one], atol=1e-6)


def test_n_step_lstm_is_repeated_lstm(device):
    ws, bs, xs = arguments(8)
    hx, cx = floats(1, 3, 2), floats(1, 3, 2) + 1
    weights = [[device.send(arrays[0])] for arrays in (ws, bs)]
    hy, cy, ys = F.n_step_lstm(1, 0.0, *device.send((hx, cx)), *weights, device.send(xs))
    h, c = hx[0], cx[0]
    i, f, a, o = range(4)
    for x, y in zip(xs, ys):
        gates = [x @ ws[0][k].T + bs[0][k] + h[: len(x)] @ ws[0][k + 4].T + bs[0][k + 4] for k in (a, i, f, o)]
        c, out = F.lstm(c, np.stack(gates, axis=2).reshape(len(x), -1))
        np.testing.assert_allclose(to_cpu(y.array), out.array, rtol=1e-5)
        h = np.concatenate([out.array, h[len(x) :]])
    np.testing.assert_allclose(to_cpu(cy.array[0]), c.array, rtol=1e-5)
    np.testing.assert_allclose(to_cpu(hy.array[0]), h, rtol=1e-5)


@pytest.mark.parametrize('bi', ['', 'bi'])
@pytest.mark.parametrize('name, n', [('lstm', 8), ('gru', 6), ('rnn', 2)])
def test_dropout_is_between_layers_and_in_training_only(on_device, name, n, bi):
    function = getattr(F, f'n_step_{bi}{name}')
    directions = 2 if bi else 1
    states = [floats(2 * directions, 3, 2)] * (2 if name == 'lstm' else 1)
    ws, bs, xs = arguments(n, n_layers=2, directions=directions)

    def last(ratio):
        return to_cpu(function(2, ratio, *states, ws, bs, xs)[0].array)

    first_layer = slice(0, directions)
    np.testing.assert_array_equal(last(0.5)[first_layer], last(0.0)[first_layer])
    assert (last(0.5) != last(0.0)).any()
    with chainlite.using_config('train', False):
        np.testing.assert_array_equal(last(0.5), last(0.0))


def test_no_steps_leave_the_states_alone(on_device):
    ws, bs, _ = arguments(6)
    hx = floats(1, 3, 2)
    hy, ys = F.n_step_gru(1, 0.0, hx, ws, bs, [])
    np.testing.assert_array_equal(to_cpu(hy.array), to_cpu(hx))
    assert ys == ()


@pytest.mark.host('calls without arrays')
def test_every_recurrent_function_names_the_arguments_that_are_gone():
    for name in 'lstm', 'bilstm', 'gru', 'bigru', 'rnn', 'birnn':
        n_states = 2 if 'lstm' in name else 1
        for keyword in 'train', 'use_cudnn':
            with pytest.raises(ValueError, match=f'{keyword} argument is not supported anymore'):
                getattr(F, f'n_step_{name}')(1, 0.0, *[None] * n_states, [], [], [], **{keyword: True})
        with pytest.raises(TypeError, match=r"unexpected keyword argument\(s\) 'unknown'"):
            getattr(F, f'n_step_{name}')(1, 0.0, *[None] * n_states, [], [], [], unknown=1)


def test_what_does_not_fit_a_recurrent_function_is_named(on_device):
    ws, bs, xs = arguments(2)
    hx = floats(1, 3, 2)
    with pytest.raises(ValueError, match=r'Invalid activation: "elu". Please select from \[tanh,relu\]'):
        F.n_step_rnn(1, 0.0, hx, ws, bs, xs, activation='elu')
    with pytest.raises(ValueError, match='Inconsistent input size in input values and weight parameters: 5 != 4'):
        F.n_step_rnn(1, 0.0, hx, ws, bs, [floats(3, 5)])
    with pytest.raises(IndexError, match='2 layers in 1 directions need 2 ws, not 1'):
        F.n_step_rnn(2, 0.0, hx, ws, bs, xs)
    with pytest.raises(InvalidType, match=r'hx.shape\[0\] >= 4\nActual: 3 < 4'):
        F.n_step_rnn(1, 0.0, hx, ws, bs, [floats(4, 4)])


# -- noise ------------------------------------------------------------------------------------------------------------
def test_gaussian_returns_the_noise_that_gives_the_same_sample(on_device):
    mean, ln_var = floats(3, 2), floats(3, 2)
    y, eps = F.gaussian(mean, ln_var, return_eps=True)
    assert eps.dtype == np.float32
    y, again = to_cpu([y.array, F.gaussian(mean, ln_var, eps=eps).array])
    np.testing.assert_array_equal(again, y)
    host_mean, host_ln_var, eps = to_cpu([mean, ln_var, eps])
    np.testing.assert_allclose(y, host_mean + np.exp(host_ln_var / 2) * eps, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match=r'eps must have the shape of mean, \(3, 2\), not \(2,\)'):
        F.gaussian(mean, ln_var, eps=floats(2))


def test_gaussian_has_the_mean_and_the_variance_asked_for(xp):
    y = to_cpu(F.gaussian(xp.full(20000, 3, 'f'), xp.full(20000, np.log(4), 'f')).array)
    assert abs(y.mean() - 3) < 0.1 and abs(y.var() - 4) < 0.25


def test_the_largest_of_gumbel_softmax_is_a_sample_of_the_categories(device):
    p = np.array([0.6, 0.3, 0.1])
    log_p = device.send(np.broadcast_to(np.log(p), (20000, 3)).astype('f'))
    y = to_cpu(F.gumbel_softmax(log_p, tau=0.5).array)
    np.testing.assert_allclose(np.bincount(y.argmax(axis=1)) / 20000, p, atol=0.02)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    assert F.gumbel_softmax(device.xp.array(0.3, 'f')).array == 1


def test_dropconnect_keeps_the_mean_and_remembers_its_mask(on_device):
    x, W, b = floats(2, 3), floats(4, 3), floats(4)
    expected = to_cpu(F.linear(x, W, b).array)
    ys = [F.simplified_dropconnect(x, W, b, ratio=0.4).array for _ in range(4000)]
    np.testing.assert_allclose(np.mean(to_cpu(ys), axis=0), expected, atol=0.1)
    y = F.simplified_dropconnect(chainlite.Variable(x), W, b)
    again = F.simplified_dropconnect(x, W, b, mask=y.creator.mask)
    assert y.creator.mask.shape == (2, 4, 3) and y.creator.mask.dtype == bool
    np.testing.assert_array_equal(to_cpu(y.array), to_cpu(again.array))
    y = F.simplified_dropconnect(x, W, b, train=False)
    np.testing.assert_allclose(to_cpu(y.array), expected, rtol=1e-5)
    with chainlite.no_backprop_mode():
        y = F.simplified_dropconnect(x, W, b, train=False)
        np.testing.assert_array_equal(to_cpu(y.array), expected)
    with pytest.raises(InvalidType, match=r'x.shape\[0\] == 5\nActual: 2 != 5'):
        F.simplified_dropconnect(x, W, b, mask=xp.ones((5, 4, 3), bool))


def test_zoneout_keeps_its_share_and_is_the_identity_in_test_mode(xp):
    h, x = xp.ones(20000, 'f'), xp.zeros(20000, 'f')
    assert abs(F.zoneout(h, x, 0.3).array.mean() - 0.3) < 0.02
    with chainlite.using_config('train', False):
        assert not F.zoneout(h, x, 0.3).array.any()
    with pytest.raises(ValueError, match='train argument is not supported anymore'):
        F.zoneout(h, x, train=False)


# -- evaluation -------------------------------------------------------------------------------------------------------
def test_scores_of_classes_are_float64_and_their_support_int64(on_device):
    y, t = floats(6, 3).astype('e'), xp.array([0, 1, 2, 0, 1, -1], 'i')
    assert [v.dtype for v in F.classification_summary(y, t)] == [np.float64] * 3 + [np.int64]
    with pytest.raises(ValueError, match='labels must not be negative, but for ignore_label=0; got -1'):
        F.classification_summary(y, t, ignore_label=0)


def test_scores_are_counted_shares(device):
    rng = np.random.RandomState(0)
    y, t = rng.randn(400, 4).astype('f'), rng.randint(-1, 4, 400).astype('i')
    scores = F.classification_summary(*device.send((y, t)), beta=2.0)
    precision, recall, f_score, support = to_cpu([v.array for v in scores])
    predictions = [int(scores.argmax()) for scores, label in zip(y, t) if label >= 0]
    labels = [int(label) for label in t if label >= 0]
    for k in range(4):
        right = sum(p == label == k for p, label in zip(predictions, labels))
        assert support[k] == labels.count(k)
        assert precision[k] == right / predictions.count(k) and recall[k] == right / labels.count(k)
        assert f_score[k] == pytest.approx(5 / (1 / precision[k] + 4 / recall[k]))


def test_scores_have_no_gradient(on_device):
    y = chainlite.Variable(floats(3, 2))
    F.binary_accuracy(y, xp.ones((3, 2), 'i')).backward()
    assert y.grad is None
    with pytest.raises(ValueError, match='invalid multioutput argument'):
        F.r2_score(y, floats(3, 2), multioutput='variance_weighted')


# -- forget -----------------------------------------------------------------------------------------------------------
def test_forget_changes_nothing_but_memory(on_device):
    link = L.Linear(3, 2)
    link.to_device(on_device)
    x = chainlite.Variable(floats(4, 3))

    def function(x):
        return F.sigmoid(link(x)), F.sum(x)

    grads = []
    for run in function, lambda x: F.forget(function, x):
        x.cleargrad()
        link.cleargrads()
        y, z = run(x)
        (F.sum(y) * z).backward()
        grads.append(to_cpu([x.grad, link.W.grad, link.b.grad]))
    for found, expected in zip(*grads):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_forget_runs_again_in_the_backward_pass_and_says_so(on_device):
    calls = []

    def function(x):
        calls.append((chainlite.config.enable_backprop, chainlite.config.in_recomputing))
        return x * 2, x

    x = chainlite.Variable(floats(3))
    F.sum(F.forget(function, x)[0]).backward()  # the second output has no gradient
    assert calls == [(False, False), (True, True)]
    assert x.grad.tolist() == [2, 2, 2]


def test_forget_refuses_what_it_cannot_do(on_device):
    x = chainlite.Variable(floats(3))
    with pytest.raises(TypeError, match='func must be callable'):
        F.forget(3, x)
    with pytest.raises(RuntimeError, match="A tuple of Variables or a Variable are expected, but <class 'list'>"):
        F.forget(lambda x: [x], x)
    with pytest.raises(RuntimeError, match='2nd element of a returned tuple is not Variable'):
        F.forget(lambda x: (x, 1), x)
    with pytest.raises(RuntimeError, match='double backpropagation in functions.forget is not allowed'):
        F.sum(F.forget(lambda x: x * x, x)).backward(enable_double_backprop=True)


def test_rrelu_takes_the_middle_slope_in_test_mode(xp):
    x, r = xp.asarray([-1, -2, 3], 'f'), xp.asarray([0.1, 0.2, 0.3], 'f')
    with chainlite.using_config('train', False):
        y, slopes = F.rrelu(x, 0.4, 0.6, r=r, return_r=True)
    assert y.array.tolist() == [-0.5, -1, 3] and slopes.tolist() == [0.5] * 3
    y, slopes = F.rrelu(x, 0.4, 0.6, r=r, return_r=True)
    assert np.allclose(y.array.tolist(), [-0.1, -0.4, 3]) and slopes is r
    y, slopes = F.rrelu(x, 0.4, 0.6, return_r=True)
    assert ((slopes >= 0.4) & (slopes <= 0.6)).all() and float(y.array[2]) == 3


def test_simplified_dropconnect_keeps_all_weights_in_test_mode(xp):
    x, W = xp.ones((2, 3), 'f'), xp.ones((4, 3), 'f')
    y = F.simplified_dropconnect(x, W, None, 0.5, train=False)
    assert (y.array == 3).all() and y.creator.mask.shape == (2, 4, 3) and y.creator.mask.all()
    none = xp.zeros((2, 4, 3), bool)
    assert not F.simplified_dropconnect(x, W, None, 0.5, train=False, mask=none).array.any()
