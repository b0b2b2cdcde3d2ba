"""ChainList and Sequential: lists of links, and of layers called in turn."""

import functools
import linecache
import pickle

import numpy as np
import pytest
from comparing import assert_array_equal

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import Chain, ChainList, Link, Parameter, Sequential


def make_links(n):
    return [Link(w=(i + 1,)) for i in range(n)]


def double(x):
    return x * 2


# -- ChainList --


@pytest.mark.host('no arrays: lists of links')
def test_children_are_named_by_number():
    links = make_links(3)
    chain = ChainList(*links)
    assert list(chain) == links and len(chain) == 3
    assert [link.name for link in links] == ['0', '1', '2']
    assert [name for name, _ in chain.namedparams()] == ['/0/w', '/1/w', '/2/w']


@pytest.mark.host('no arrays: lists of links')
@pytest.mark.parametrize(
    'change, expected',
    [
        (lambda chain, new: chain.append(new), 'abcn'),
        (lambda chain, new: chain.add_link(new), 'abcn'),
        (lambda chain, new: chain.insert(1, new), 'anbc'),
        (lambda chain, new: chain.__setitem__(-1, new), 'abn'),
        (lambda chain, new: chain.__setitem__(slice(0, 2), [new]), 'nc'),
        (lambda chain, new: chain.__delitem__(0), 'bc'),
        (lambda chain, new: chain.pop(), 'ab'),
        (lambda chain, new: chain.extend([new]), 'abcn'),
        (lambda chain, new: chain.reverse(), 'cba'),
        (lambda chain, new: chain.clear(), ''),
    ],
)
def test_lists_of_links_change_like_lists_and_stay_numbered(change, expected):
    known = dict(zip('abcn', make_links(4)))
    chain = ChainList(*(known[name] for name in 'abc'))
    change(chain, known['n'])
    assert list(chain) == [known[name] for name in expected]
    assert [link.name for link in chain] == [str(i) for i in range(len(expected))]


@pytest.mark.host('texts of errors')
def test_a_list_of_links_refuses_other_things():
    for use in (
        lambda: ChainList(3),
        lambda: ChainList(Link()).__setitem__(0, 3),
        lambda: ChainList(Link()).__setitem__(slice(0, 1), [3]),
        lambda: ChainList().insert(0, len),
    ):
        with pytest.raises(TypeError, match='cannot register a non-link object as a child'):
            use()


@pytest.mark.host('no arrays: lists of links')
def test_links_are_not_assigned_to_lists_but_parameters_are():
    chain = ChainList(Link())
    with chain.init_scope():
        chain.p = Parameter(0, (2,))
        with pytest.raises(TypeError, match='cannot register a new link within a "with chainlist.init_scope'):
            chain.l = Link()
    assert [name for name, _ in chain.namedparams()] == ['/p']


@pytest.mark.host('texts of errors')
def test_copying_parameters_from_a_shorter_list_is_an_error():
    with pytest.raises(IndexError):
        ChainList(*make_links(2)).copyparams(ChainList(*make_links(1)))


# -- Sequential --


def test_layers_are_called_in_turn(xp):
    assert Sequential(double, lambda x: x + 1)(xp.full((), 3)) == 7


def test_a_tuple_is_passed_on_as_arguments(xp):
    model = Sequential(lambda x, y: (x, y, 1), lambda x, y, z: [x, y, z], lambda xs: sum(xs))
    assert model(xp.full((), 1), xp.full((), 2)) == 4


@pytest.mark.host('no arrays: lists of links')
def test_an_empty_sequential_cannot_be_called():
    with pytest.raises(RuntimeError, match='Sequential does not have any layer.'):
        Sequential()(1)


def test_links_among_the_layers_are_trained(device):
    model = Sequential(L.Linear(2, 3), F.relu, L.Linear(3, 1)).to_device(device)
    assert model(device.xp.ones((4, 2), np.float32)).shape == (4, 1)
    assert len(list(model.params())) == 4
    assert list(model.children()) == [model[0], model[2]]


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize(
    'add', [lambda model: Sequential(0), lambda model: model.append(0), lambda model: model.insert(0, 0)]
)
def test_what_cannot_be_called_is_refused(add):
    with pytest.raises(ValueError, match='should be callable. But given 0 is not callable'):
        add(Sequential(len))


@pytest.mark.host('no arrays: lists of links')
@pytest.mark.parametrize('i', [9, -9])
def test_layers_are_inserted_within_the_list(i):
    with pytest.raises(IndexError, match=f'Index out of range: {i}'):
        Sequential(len, len).insert(i, len)


@pytest.mark.host('no arrays: lists of links')
@pytest.mark.parametrize(
    'operate',
    [
        lambda layers, a, b: layers.insert(1, b),
        lambda layers, a, b: layers.insert(-1, b),
        lambda layers, a, b: layers.__setitem__(0, b),
        lambda layers, a, b: layers.__delitem__(1),
        lambda layers, a, b: layers.pop(0),
        lambda layers, a, b: layers.remove(a),
        lambda layers, a, b: layers.extend([b, len]),
        lambda layers, a, b: layers.reverse(),
        lambda layers, a, b: layers.__setitem__(slice(1, 3), [b]),
        lambda layers, a, b: layers.__setitem__(slice(1, 3), iter([b, len])),
        lambda layers, a, b: layers.__delitem__(slice(0, 2)),
    ],
)
def test_sequentials_change_like_lists(operate):
    a, b = L.Linear(1, 1), L.Linear(2, 2)
    plain = [len, a, double]
    model = Sequential(*plain)
    operate(plain, a, b)
    operate(model, a, b)
    assert list(model) == plain
    links = [layer for layer in plain if isinstance(layer, Link)]
    assert sorted(map(id, model.children())) == sorted(map(id, links))
    assert {link.name for link in links} == {str(i) for i in range(len(links))}


@pytest.mark.host('no arrays: lists of links')
def test_sequentials_answer_like_lists():
    a = L.Linear(1, 1)
    model = Sequential(len, a, len, double)
    assert model.index(len) == 0 and model.index(len, 1) == 2
    assert model.count(len) == 2
    assert a in model and max not in model
    assert list(reversed(model)) == [double, len, a, len]
    assert model[1:3] == [a, len]
    with pytest.raises(ValueError, match='There is no layer object that is same as'):
        model.remove(max)
    with pytest.raises(ValueError):
        model.index(double, 0, 3)


@pytest.mark.host('no arrays: lists of links')
def test_addition_makes_a_longer_sequential():
    a, b = Sequential(len), Sequential(double)
    assert list(a + b) == [len, double]
    a += b
    assert list(a) == [len, double]
    for use in (lambda: a + 0, lambda: a.__iadd__(0)):
        with pytest.raises(ValueError, match='supports only objects of Sequential class, but .*int.* is given'):
            use()


@pytest.mark.host('no arrays: lists of links')
def test_layers_are_counted_and_removed_by_type():
    model = Sequential(L.Linear(1, 1), F.relu, L.Linear(1, 1), F.relu, double)
    assert model.count_by_layer_type('Linear') == 2
    assert model.count_by_layer_type('relu') == 2
    model.remove_by_layer_type('Linear')
    assert list(model) == [F.relu, F.relu, double] and not list(model.children())


@pytest.mark.host('no arrays: lists of links')
def test_flatten_dissolves_inner_sequentials():
    chain = ChainList()
    assert list(Sequential(Sequential(len, Sequential(double)), chain).flatten()) == [len, double, chain]


@pytest.mark.host('texts of errors')
def test_text_shows_layers_and_the_source_of_lambdas(monkeypatch):
    layer = functools.partial(F.leaky_relu, slope=0.2)
    layers = [
        Sequential(L.Linear(None, 3)),
        lambda x: F.leaky_relu(x, slope=0.2),
        layer,
    ]
    assert str(Sequential(*layers)) == (
        'Sequential(\n  (0): Sequential(\n    (0): Linear(in_size=None, out_size=3, nobias=False),\n  ),\n'
        f'  (1): lambda x: F.leaky_relu(x, slope=0.2),\n  (2): {layer},\n)'
    )
    assert str(Sequential()) == 'Sequential()'
    monkeypatch.setitem(linecache.cache, '<string>', (0, None, ['import this\n'], '<string>'))  # as `python -c` in 3.13
    assert '<lambda>' in str(Sequential(eval('lambda x: x')))  # no source


@pytest.mark.parametrize('mode', ['share', 'copy', 'init'])
def test_copies_take_functions_as_they_are_even_lambdas(device, mode):
    model = Chain(s=Sequential(L.Linear(2, 2), lambda x: x, L.Linear(2, 3))).to_device(device)
    new = model.copy(mode)
    assert new.s[1] is model.s[1]
    assert new.s[0] is not model.s[0] and list(new.s.children()) == [new.s[0], new.s[2]]
    assert new.s[0].W.device == device
    assert (new.s[0].W.array is model.s[0].W.array) == (mode == 'share')
    assert list(model.s.children()) == [model.s[0], model.s[2]]


@pytest.mark.host('no arrays: lists of links')
def test_a_copy_is_of_the_same_class():
    class Model(Sequential):
        pass

    assert type(Model(len).copy()) is Model


def test_pickle_refuses_lambdas_and_keeps_the_rest(device):
    model = Sequential(L.Linear(2, 3), F.relu).to_device(device)
    new = pickle.loads(pickle.dumps(model))
    assert new[1] is F.relu and list(new.children()) == [new[0]]
    assert_array_equal(new[0].W.array, model[0].W.array)
    with pytest.raises(ValueError, match='at least one lambda function'):
        pickle.dumps(Sequential(lambda x: x))


@pytest.mark.host('no arrays: lists of links')
def test_parameters_are_copied_between_sequentials_only():
    with pytest.raises(ValueError, match='Objects other than Sequential object cannot be copied'):
        Sequential(L.Linear(1, 1)).copyparams(ChainList(L.Linear(1, 1)))


def test_repeat_makes_a_sequential_of_sequentials(device):
    block = Sequential(L.Linear(2, 2), F.relu).to_device(device)
    model = block.repeat(2)
    assert type(model[0]) is Sequential and model[0][1] is F.relu
    assert not device.xp.array_equal(model[0][0].W.array, model[1][0].W.array)
    assert model(device.xp.ones((1, 2), np.float32)).shape == (1, 2)
    assert len(chainlite.Sequential(*model).flatten()) == 4
