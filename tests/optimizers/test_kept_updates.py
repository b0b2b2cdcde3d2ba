"""What an optimizer keeps from one update to the next is looked at again after every change of model or rules."""

import gc
import pickle
import weakref

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import _batched_update, optimizer_hooks, optimizers

pytestmark = pytest.mark.host('on a GPU tables are kept, which have tests of their own')


class Rules(chainlite.optimizers.adam.AdamRule):
    """A rule of a user, which is updated alone."""


def make(apart=False):
    """A model and its optimizer; `apart`: one parameter is updated after the other."""
    random = np.random.RandomState(0)
    model = chainlite.Chain(a=L.Linear(3, 4), b=chainlite.ChainList(L.Linear(4, 5), L.Linear(5, 2)))
    for param in model.params():
        param.array[...] = random.randn(*param.shape)
    optimizer = optimizers.Adam(alpha=0.1).setup(model)
    if apart:
        for param in model.params():
            param.update_rule.__class__ = Rules
    return model, optimizer


def train(model, optimizer, seeds):
    for seed in seeds:
        gradients(model, seed)
        if any(isinstance(param.update_rule, Rules) for param in model.params()):
            optimizer._kept = None  # nor does it know its parameters
        optimizer.update()


def gradients(model, seed):
    random = np.random.RandomState(seed)
    for param in model.params():
        param.grad = random.randn(*param.shape).astype(param.dtype)


def replace_parameter(model, optimizer):
    rule, model.a.W = model.a.W.update_rule, chainlite.Parameter(model.a.W.array + 1)
    model.a.W.update_rule = rule


def new_link(model, optimizer):
    link = L.Linear(2, 2, initialW=1)
    for param in link.params():
        new_rule(param, model, optimizer)
    return link


def new_rule(param, model, optimizer):
    kind, param.update_rule = type(model.a.b.update_rule), optimizer.create_update_rule()
    param.update_rule.__class__ = kind


def add_link(model, optimizer):
    model.add_link('c', new_link(model, optimizer))


def append_link(model, optimizer):
    model.b.append(new_link(model, optimizer))


def remove_parameter(model, optimizer):
    del model.a.b


def remove_link(model, optimizer):
    del model.b[0]


def disable(model, optimizer):
    model.b[1].disable_update()


def own_value(model, optimizer):
    model.a.W.update_rule.hyperparam.alpha = 0.5


def other_values(model, optimizer):
    optimizer.alpha, optimizer.beta1 = 0.01, 0.5


def other_states(model, optimizer):
    optimizer.amsgrad = True
    for param in model.params():
        param.update_rule.state['vhat'] = np.ones_like(param.array)


def state(model, optimizer):
    model.a.W.update_rule.state['m'] = np.ones_like(model.a.W.array)


def number_of_updates(model, optimizer):
    model.a.W.update_rule.t = 7


def array(model, optimizer):
    model.a.W.array = model.a.W.array + 1


def dtype(model, optimizer):
    model.a.W.array = model.a.W.array.astype('d')
    for name, value in model.a.W.update_rule.state.items():
        model.a.W.update_rule.state[name] = value.astype('d')


def rule(model, optimizer):
    new_rule(model.a.W, model, optimizer)


def no_rule(model, optimizer):
    model.a.W.update_rule = None


def hook(model, optimizer):
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))


def hook_of_a_rule(model, optimizer):
    model.a.W.update_rule.add_hook(optimizer_hooks.WeightDecay(0.5))


def set_up_again(model, optimizer):
    rules = {type(param.update_rule) for param in model.params()}
    optimizer.setup(model)
    for param in model.params():
        (param.update_rule.__class__,) = rules


CHANGES = [
    *(replace_parameter, add_link, append_link, remove_parameter, remove_link, disable, own_value, other_values),
    *(other_states, state, number_of_updates, array, dtype, rule, no_rule, hook, hook_of_a_rule, set_up_again),
]


@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_update_after_a_change_is_that_of_parameters_apart(change):
    params = []
    for model, optimizer in make(), make(apart=True):
        train(model, optimizer, range(3))
        before = list(model.params())
        change(model, optimizer)
        train(model, optimizer, range(3, 6))
        params.append([*before, *model.params()])  # also those that it has no more
    for param, other in zip(*params, strict=True):
        np.testing.assert_array_equal(param.array, other.array, err_msg=param.name)
        assert getattr(param.update_rule, 't', 0) == getattr(other.update_rule, 't', 0)


def test_method_replaced_in_the_class_of_the_rules_is_called(monkeypatch):
    model, optimizer = make()
    train(model, optimizer, range(3))
    called = []
    monkeypatch.setattr(optimizers.adam.AdamRule, 'update_core_cpu', lambda rule, param: called.append(param))
    optimizer.update()
    assert called == list(model.params())


def test_rule_that_gets_a_method_calls_it():
    model, optimizer = make()
    train(model, optimizer, range(3))
    called = []
    model.a.W.update_rule.update_core = called.append
    optimizer.update()
    assert called == [model.a.W]


def counted(monkeypatch, name):
    """How often a function of the module is called from now on: the length of the list."""
    calls, function = [], getattr(_batched_update, name)
    monkeypatch.setattr(_batched_update, name, lambda *args: calls.append(args) or function(*args))
    return calls


def test_model_is_looked_at_once_while_it_is_trained(monkeypatch):
    model, optimizer = make()
    model.a.add_param('c', (3,), initializer=0)
    model.a.c.update_rule = optimizer.create_update_rule()
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
    gathered = counted(monkeypatch, 'gather')
    for i in range(6):
        x = np.full((2, 3), i, 'f')
        model.y = model.b[1](model.b[0](model.a(x)))  # which models do
        loss = F.sum(model.y) + F.sum(model.a.c)
        model.cleargrads()
        loss.backward()
        optimizer.alpha *= 0.9
        optimizer.update()
    assert len(gathered) == 2  # in the first update the rules get their states


def test_model_that_finds_its_parameters_itself_is_asked_each_time():
    class Half(chainlite.Chain):
        names = 'a', 'b'

        def params(self, include_uninit=True):
            return (self[name].W for name in self.names)

    model = Half(a=L.Linear(2, 2), b=L.Linear(2, 2))
    outer = chainlite.ChainList(model)
    optimizer = optimizers.SGD().setup(outer)
    for _ in range(3):
        gradients(outer, 0)
        optimizer.update()
    model.names = ('a',)
    gradients(outer, 0)
    before = model.b.W.array.copy()
    optimizer.update()
    np.testing.assert_array_equal(model.b.W.array, before)


def test_hyperparameters_of_a_user_may_be_set_before_they_have_a_parent():
    class Mine(chainlite.optimizer.Hyperparameter):
        def __init__(self, parent):
            self.rate = 2
            super().__init__(parent)

    assert Mine(optimizers.SGD(0.5).hyperparam).get_dict() == {'rate': 2, 'lr': 0.5}


def test_gradients_are_let_go():
    model, optimizer = make()
    train(model, optimizer, range(3))
    gradient = weakref.ref(model.a.W.grad)
    model.cleargrads()
    gc.collect()
    assert gradient() is None


def test_failed_update_changes_nothing_and_the_next_one_works():
    model, optimizer = make()
    twin, other = make()
    train(model, optimizer, range(3))
    train(twin, other, range(3))
    optimizer.eps = 1e-60
    with pytest.raises(ValueError, match='eps of Adam'):
        optimizer.update()
    optimizer.eps = other.eps
    optimizer.update()
    other.update()
    for param, expected in zip(model.params(), twin.params()):
        np.testing.assert_array_equal(param.array, expected.array)
        assert param.update_rule.t == expected.update_rule.t == 4


def test_copies_keep_nothing():
    model, optimizer = make()
    train(model, optimizer, range(3))
    copied = pickle.loads(pickle.dumps(optimizer))
    for o in (optimizer, copied):
        gradients(o.target, 5)
        o.update()
    for param, other in zip(model.params(), copied.target.params()):
        assert param is not other
        np.testing.assert_array_equal(param.array, other.array)
