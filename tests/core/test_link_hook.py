"""Link hooks: when they are called, and the timer."""

import io
import re

import numpy as np
import pytest

import chainlite
from chainlite import Chain, Link, LinkHook, link_hooks


class Add(Link):
    def forward(self, x, y=1):
        return x + y


class Model(Chain):
    def __init__(self):
        super().__init__(add=Add())

    def forward(self, x):
        return self.add(x, y=2) * 10


class Recorder(LinkHook):
    name = 'Recorder'

    def __init__(self):
        self.events = []

    def added(self, link):
        self.events.append(('added', link))

    def deleted(self, link):
        self.events.append(('deleted', link))

    def forward_preprocess(self, args):
        self.events.append(('pre', args.link, args.forward_name, args.args, args.kwargs))

    def forward_postprocess(self, args):
        self.events.append(('post', args.link, args.forward_name, args.args, args.kwargs, args.out))


def test_a_hook_that_is_entered_sees_all_links(xp):
    model, hook, x = Model(), Recorder(), xp.ones(())
    with hook as entered:
        assert entered is hook
        assert model(x) == 30
    assert model(x) == 30
    assert hook.events == [
        ('added', None),
        ('pre', model, 'forward', (x,), {}),
        ('pre', model.add, 'forward', (x,), {'y': 2}),
        ('post', model.add, 'forward', (x,), {'y': 2}, 3),
        ('post', model, 'forward', (x,), {}, 30),
        ('deleted', None),
    ]


@pytest.mark.host('hooks are called alike for all arrays')
@pytest.mark.parametrize('name', [None, 'mine'])
def test_a_hook_that_is_added_sees_one_link(name):
    model, hook = Model(), Recorder()
    assert model.add.add_hook(hook, name) is model.add
    assert model.add.local_link_hooks == {name or 'Recorder': hook}
    model(1)
    model.add.delete_hook(name or 'Recorder')
    model(1)
    assert [event[0] for event in hook.events] == ['added', 'pre', 'post', 'deleted']
    assert all(event[1] is model.add for event in hook.events)


@pytest.mark.host('hooks are called alike for all arrays')
def test_hooks_are_called_in_the_order_in_which_they_came():
    order = []

    class Named(LinkHook):
        def __init__(self, name):
            self.name = name

        def forward_preprocess(self, args):
            order.append(self.name)

    link = Add()
    link.add_hook(Named('a'))
    link.add_hook(Named('b'))
    with Named('c'):
        link(1)
    assert order == ['c', 'a', 'b']


@pytest.mark.host('texts of errors')
def test_hooks_of_one_name_exclude_each_other():
    link = Add()
    link.add_hook(Recorder())
    with pytest.raises(KeyError, match='Hook Recorder already exists'):
        link.add_hook(Recorder())
    with Recorder():
        with pytest.raises(KeyError, match='hook Recorder already exists'):
            with Recorder():
                pass
    with pytest.raises(KeyError, match='Hook other does not exist'):
        link.delete_hook('other')


@pytest.mark.host('texts of errors')
def test_only_hooks_are_added():
    with pytest.raises(TypeError, match='Hook must be of type LinkHook'):
        Add().add_hook(print)


@pytest.mark.host('hooks are called alike for all arrays')
def test_a_mixed_in_call_is_named_to_hooks():
    class Mixin:
        def __call__(self, x):
            return x

    class Mixed(Link, Mixin):
        pass

    with Recorder() as hook:
        Mixed()(1)
    assert hook.events[1][2] == '__call__'


@pytest.mark.host('texts')
def test_callback_arguments_have_a_text():
    texts = []

    class Texts(LinkHook):
        def forward_postprocess(self, args):
            texts.append(repr(args))

    with Texts():
        Add()(1, y=2)
    assert re.fullmatch(
        r"<[\w.]*_ForwardPostprocessCallbackArgs link=Add\(\) forward_name=forward args=\(1,\) kwargs={'y': 2} out=3>",
        texts[0],
    )


def test_the_timer_adds_up_time_and_calls_by_class(xp):
    with link_hooks.TimerHook() as hook:
        model = Model()
        model(xp.ones(2))
        model(xp.ones(2))
    assert [name for name, _ in hook.call_history] == ['Add', 'Model', 'Add', 'Model']
    times = [seconds for _, seconds in hook.call_history]
    assert times[0] < times[1] and times[2] < times[3]
    summary = hook.summary()
    assert summary['Model'] == {'elapsed_time': pytest.approx(times[1] + times[3]), 'occurrence': 2}
    assert hook.total_time() == pytest.approx(times[1] + times[3])


# Printed by Chainer 7.8.1 for the same history.
TABLES = {
    'sec': ('       A      0.75sec           2', '     Bee      0.00sec           1'),
    'ms': ('       A     750.00ms           2', '     Bee       0.00ms           1'),
    'auto': ('       A     750.00ms           2', '     Bee       0.00ms           1'),
    'auto_foreach': ('       A     750.00ms           2', '     Bee     300.00ns           1'),
}


@pytest.mark.host('texts')
@pytest.mark.parametrize('unit', TABLES)
def test_the_timer_prints_a_table(unit):
    hook = link_hooks.TimerHook()
    hook.call_history = [('A', 0.5), ('A', 0.25), ('Bee', 3e-7)]
    file = io.StringIO()
    hook.print_report(unit, file)
    assert file.getvalue().splitlines() == ['LinkName  ElapsedTime  Occurrence', *TABLES[unit]]


@pytest.mark.host('texts')
def test_the_timer_prints_nothing_but_the_heading_when_nothing_ran():
    file = io.StringIO()
    link_hooks.TimerHook().print_report(file=file)
    assert file.getvalue() == 'LinkName  ElapsedTime  Occurrence\n'


@pytest.mark.host('hooks are called alike for all arrays')
def test_calls_cost_little_more_than_forward_while_there_are_no_hooks(monkeypatch):
    link = Add()
    monkeypatch.setattr(chainlite.link, '_ForwardPreprocessCallbackArgs', None)  # not even made
    assert link(1) == 2
    link.add_hook(LinkHook())
    link.delete_hook('LinkHook')
    assert link(np.float32(1)) == 2
