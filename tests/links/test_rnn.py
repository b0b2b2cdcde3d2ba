"""Recurrent links: their states, and sequences of different lengths."""

import copy

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import Variable
from chainlite.backends.cuda import to_cpu


def floats(*shape, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


STATEFUL = {
    'LSTM': (L.LSTM, ('c', 'h')),
    'GRU': (L.GRU, ('h',)),
    'StatefulGRU': (L.StatefulGRU, ('h',)),
    'StatefulMGU': (L.StatefulMGU, ('h',)),
    'StatefulPeepholeLSTM': (L.StatefulPeepholeLSTM, ('c', 'h')),
    'StatefulZoneoutLSTM': (lambda *args: L.StatefulZoneoutLSTM(*args, c_ratio=0, h_ratio=0), ('c', 'h')),
}


@pytest.mark.parametrize('name', STATEFUL)
def test_states_are_kept_until_they_are_reset(device, name):
    make, names = STATEFUL[name]
    link = make(3, 2).to_device(device)
    xs = device.send(floats(2, 4, 3))
    assert all(getattr(link, n) is None for n in names)
    first, second = (to_cpu(link(x).array) for x in xs)
    assert all(getattr(link, n).shape == (4, 2) for n in names)
    assert not np.allclose(to_cpu(link(xs[0]).array), first)
    link.reset_state()
    assert all(getattr(link, n) is None for n in names)
    np.testing.assert_array_equal(to_cpu(link(xs[0]).array), first)
    np.testing.assert_array_equal(to_cpu(link(xs[1]).array), second)


@pytest.mark.parametrize('name', [name for name in STATEFUL if name != 'StatefulPeepholeLSTM'])
def test_states_can_be_set(device, name):
    make, names = STATEFUL[name]
    link = make(3, 2).to_device(device)
    xs = device.send(floats(2, 4, 3))
    link(xs[0])
    states = [copy.copy(getattr(link, n)) for n in names]
    expected = to_cpu(link(xs[1]).array)
    link.reset_state()
    link.set_state(*states)
    np.testing.assert_array_equal(to_cpu(link(xs[1]).array), expected)
    with pytest.raises(AssertionError, match='must be a Variable'):
        link.set_state(*[1] * len(names))


@pytest.mark.parametrize('name', STATEFUL)
def test_states_move_with_the_link(device, name):
    make, names = STATEFUL[name]
    link = make(3, 2)
    for at in (chainlite.get_device('@numpy'), device):
        link.to_device(at)
        assert {v.device for v in [*link.params(), *(getattr(link, n) for n in names)] if v is not None} == {at}
        link(at.send(floats(4, 3)))
    assert all(getattr(link, n).device == device for n in names)


class Visitor(chainlite.device_resident.DeviceResidentsVisitor):
    def __init__(self):
        self.variables = []

    def visit_device_resident(self, device_resident):
        pass

    def visit_variable(self, param):
        self.variables.append(param)


@pytest.mark.host('looks at what is visited, not at arrays')
@pytest.mark.parametrize('name', STATEFUL)
def test_states_are_visited(name):
    make, names = STATEFUL[name]
    link = make(3, 2)
    n_params = len(list(link.params()))
    for states in ([], names):
        visitor = Visitor()
        link.device_resident_accept(visitor)
        assert len(visitor.variables) == n_params + len(states)
        link(floats(4, 3))


@pytest.mark.parametrize('name', STATEFUL)
def test_gradients_flow_through_time(device, name):
    link = STATEFUL[name][0](3, 2).to_device(device)
    link.cleargrads()
    first = Variable(device.send(floats(4, 3)))
    link(first)
    F.sum(link(device.send(floats(4, 3, seed=1)))).backward()
    assert abs(first.grad).max() > 0


def test_lstm_lets_batches_get_smaller(device):
    link = L.LSTM(3, 2).to_device(device)
    alone = link.copy()
    xs = device.send([floats(n, 3, seed=n) for n in (4, 2, 2, 1)])
    outputs = [link(x).array for x in xs]
    assert [len(y) for y in outputs] == [4, 2, 2, 1] and link.h.shape == (4, 2)
    alone.reset_state()
    for x, y in zip(xs, outputs):
        np.testing.assert_allclose(to_cpu(alone(x[:1]).array), to_cpu(y[:1]), rtol=1e-5)
    link.reset_state()
    link(xs[1])
    with pytest.raises(TypeError, match='must be equal to or less than the size of the previous state h'):
        link(xs[0])


def test_stateless_links_do_one_step_of_stateful_ones(device):
    x, h = device.send((floats(4, 3), floats(4, 2, seed=1)))
    for stateful, stateless in ((L.StatefulGRU, L.StatelessGRU), (L.StatefulMGU, L.StatelessMGU)):
        a, b = stateful(3, 2).to_device(device), stateless(3, 2).to_device(device)
        b.copyparams(a)
        a.set_state(Variable(h))
        np.testing.assert_allclose(to_cpu(a(x).array), to_cpu(b(h, x).array), rtol=1e-5)
    a, b = L.LSTM(3, 2).to_device(device), L.StatelessLSTM(3, 2).to_device(device)
    b.copyparams(a)
    c, y = b(None, None, x)
    np.testing.assert_allclose(to_cpu(a(x).array), to_cpu(y.array), rtol=1e-5)
    np.testing.assert_allclose(to_cpu(a(x).array), to_cpu(b(c, y, x)[1].array), rtol=1e-5)


@pytest.mark.host('texts of errors')
def test_gru_says_that_it_has_a_state():
    with pytest.raises(ValueError, match='The length of GRU.forward must be 1. But 2 is given'):
        L.GRU(3, 2)(floats(4, 2), floats(4, 3))


def test_forget_gates_start_open(device):
    link = L.LSTM(None, 2).to_device(device)
    link(device.send(floats(4, 3)))  # which initializes it
    assert link.upward.b.array.reshape(2, 4).tolist() == [[0, 0, 1, 0]] * 2


def test_tree_lstms_take_missing_children_as_zeros(device):
    x, c, h = device.send((floats(4, 3), floats(4, 2), floats(4, 2, seed=1)))
    zeros = device.xp.zeros((4, 2), np.float32)
    for link in (L.ChildSumTreeLSTM(3, 2), L.NaryTreeLSTM(3, 2)):
        given = link.to_device(device)(c, None, h, None, x)
        for a, b in zip(given, link(c, zeros, h, zeros, x)):
            np.testing.assert_allclose(to_cpu(a.array), to_cpu(b.array), rtol=1e-5)
        with pytest.raises(ValueError, match='All inputs .* are None'):
            link(None, None, None, None, None)
        with pytest.raises(AssertionError):
            link(c, h)
    with pytest.raises(AssertionError, match='n_ary must be positive'):
        L.NaryTreeLSTM(3, 2, 0)


N_STEP = {
    name: 'LSTM' in name
    for name in (
        'NStepLSTM',
        'NStepBiLSTM',
        'NStepGRU',
        'NStepBiGRU',
        'NStepRNNTanh',
        'NStepRNNReLU',
        'NStepBiRNNTanh',
        'NStepBiRNNReLU',
    )
}


@pytest.mark.parametrize('name', N_STEP)
def test_sequences_are_independent_of_each_other(device, name):
    link = getattr(L, name)(2, 3, 4, 0.0).to_device(device)
    xs = device.send([floats(n, 3, seed=n) for n in (2, 5, 3)])
    states = [None] * (2 if N_STEP[name] else 1)
    *last, ys = link(*states, xs)
    n_directions = 2 if 'Bi' in name else 1
    assert link.n_cells == len(states) and len(link.ws) == len(link) == 2 * n_directions
    for i, x in enumerate(xs):
        *last_alone, (y_alone,) = link(*states, [x])
        assert ys[i].shape == (len(x), 4 * n_directions)
        np.testing.assert_allclose(to_cpu(ys[i].array), to_cpu(y_alone.array), rtol=1e-4, atol=1e-6)
        for state, state_alone in zip(last, last_alone):
            one = to_cpu(state.array)[:, i : i + 1]
            np.testing.assert_allclose(one, to_cpu(state_alone.array), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name', ['NStepLSTM', 'NStepGRU', 'NStepRNNTanh'])
def test_sequences_can_be_cut_in_two(device, name):
    link = getattr(L, name)(2, 3, 4, 0.0).to_device(device)
    x = device.send(floats(6, 3))
    states = [None] * (2 if N_STEP[name] else 1)
    *_, (whole,) = link(*states, [x])
    *states, (first,) = link(*states, [x[:2]])
    *_, (second,) = link(*states, [x[2:]])
    parts = np.concatenate(to_cpu([first.array, second.array]))
    np.testing.assert_allclose(parts, to_cpu(whole.array), rtol=1e-4, atol=1e-6)


def test_weights_of_a_copy_are_its_own(device):
    link = L.NStepGRU(1, 3, 4, 0.0).to_device(device)
    new = link.copy('copy')
    assert new.ws[0][0] is new[0].w0 and new.ws[0][0] is not link.ws[0][0]


def test_the_state_before_sequences_is_a_variable(device):
    hx = L.NStepBiGRU(2, 3, 4, 0.0).to_device(device).init_hx([device.send(floats(5, 3))])
    assert isinstance(hx, Variable) and isinstance(hx.array, device.xp.ndarray) and hx.shape == (4, 1, 4)


def test_biases_start_as_an_array_says(xp):
    link = L.NStepGRU(1, 3, 2, 0.0, initial_bias=xp.array([1, 2], 'f'))
    for b in link.bs[0]:
        np.testing.assert_array_equal(to_cpu(b.array), [1, 2])


@pytest.mark.host('texts of errors')
def test_bad_arguments_of_n_step_links():
    with pytest.raises(TypeError, match="unexpected keyword argument.*'foo'"):
        L.NStepLSTM(1, 2, 3, 0.0, foo=1)
    link = L.NStepLSTM(1, 2, 3, 0.0)
    with pytest.raises(ValueError, match='train argument is not supported anymore'):
        link(None, None, [floats(4, 2)], train=True)
    with pytest.raises(AssertionError, match='xs must be a list of sequences'):
        link(None, None, floats(4, 2))
