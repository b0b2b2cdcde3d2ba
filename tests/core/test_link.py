"""Link and Chain: registration, walking the tree, copies, gradients, saving."""

import copy
import pickle

import numpy as np
import pytest
from comparing import assert_array_equal

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import Chain, ChainList, Link, Parameter, Sequential, initializers
from chainlite.optimizer import UpdateRule


class Layer(Link):
    """A weight of a known shape, one of an unknown shape, and a persistent array."""

    def __init__(self, n=2):
        super().__init__()
        self.n = n
        with self.init_scope():
            self.W = Parameter(initializers.Normal(), (n, 3))
            self.late = Parameter(initializers.Normal())
        self.add_persistent('average', np.zeros(n, np.float32))

    def forward(self, x):
        return x * 2

    @property
    def printable_specs(self):
        yield 'n', self.n


@pytest.fixture
def layer(device):
    """Makes a layer on the device."""
    return lambda n=2: Layer(n).to_device(device)


@pytest.fixture
def make_model(device):
    def make():
        model = Chain(a=Layer(), b=ChainList(Layer(3), Chain(c=Layer(4))))
        with model.init_scope():
            model.p = Parameter(0, (5,))
        return model.to_device(device)

    return make


PATHS = ['/p', '/a/W', '/a/late', '/b/0/W', '/b/0/late', '/b/1/c/W', '/b/1/c/late']


def names(pairs):
    return [name for name, _ in pairs]


# -- registration --


def test_parameters_assigned_in_init_scope_are_registered_and_named(layer):
    link = layer()
    assert names(link.namedparams()) == ['/W', '/late']
    assert link.W.name == 'W'
    link.other = Parameter(0, (2,))
    assert names(link.namedparams()) == ['/W', '/late']


@pytest.mark.host('no arrays: names and structure')
def test_init_scopes_nest():
    link = Link()
    assert not link.within_init_scope
    with link.init_scope():
        with link.init_scope():
            pass
        assert link.within_init_scope
    assert not link.within_init_scope


@pytest.mark.host('no arrays: names and structure')
def test_init_scope_ends_when_its_body_raises():
    link = Link()
    with pytest.raises(ZeroDivisionError):
        with link.init_scope():
            raise ZeroDivisionError
    assert not link.within_init_scope


def test_keyword_arguments_of_link_are_parameters(device):
    link = Link(x=(2, 3), y=((4,), np.float64), z=None, s=5).to_device(device)
    assert all(p.device == device for p in link.params())
    assert (link.x.shape, link.x.dtype) == ((2, 3), np.float32)
    assert (link.y.shape, link.y.dtype) == ((4,), np.float64)
    assert link.s.shape == (5,)
    assert link.z.array is None


def test_add_param_without_a_shape_waits_for_initialize(device, xp):
    link = Link().to_device(device)
    link.add_param('w', dtype=np.float64)
    assert not link.w.is_initialized
    link.w.initialize((2, 3))
    assert (link.w.shape, link.w.dtype) == ((2, 3), np.float64)
    assert device.xp.isnan(link.w.array).all()


def test_a_parameter_may_hold_integers(device):
    link = Link().to_device(device)
    link.add_param('count', (2,), dtype='i')
    assert link.count.device == device and link.count.dtype == 'i' and link.count.shape == (2,)


@pytest.mark.parametrize('initializer', [np.ones(3, np.float32), initializers.One(np.float32)])
def test_add_param_takes_the_dtype_of_its_initializer(device, initializer):
    link = Link().to_device(device)
    if isinstance(initializer, np.ndarray):
        link.add_param('w', None, np.float64, device.send(initializer))
    else:
        link.add_param('w', (3,), np.float64, initializer)
    assert isinstance(link.w.array, device.xp.ndarray)
    assert link.w.dtype == np.float32
    assert_array_equal(link.w.array, [1, 1, 1])


@pytest.mark.parametrize(
    'add, kind',
    [
        (lambda link: link.add_param('n', (2,)), 'parameter'),
        (lambda link: link.add_persistent('n', 1), 'persistent value'),
    ],
)
def test_taken_names_are_refused(layer, add, kind):
    with pytest.raises(AttributeError, match=f'cannot register a new {kind} n: attribute exists'):
        add(layer())


def test_registering_a_parameter_as_persistent_takes_it_off_the_parameters(layer):
    link = layer()
    link.register_persistent('W')
    assert names(link.namedparams()) == ['/late']
    assert link._persistent == {'W', 'average'}


@pytest.mark.host('texts of errors')
def test_registering_what_does_not_exist_is_refused():
    with pytest.raises(AttributeError, match='cannot register non-existent attribute q as a persistent value'):
        Link().register_persistent('q')


def test_deleted_attributes_are_forgotten(layer):
    link = layer()
    del link.W, link.average
    assert names(link.namedparams()) == ['/late']
    assert link._persistent == set()
    chain = Chain(a=link)
    del chain.a
    assert list(chain.children()) == []


@pytest.mark.host('texts of errors')
def test_forgetting_super_init_is_said():
    class Wrong(Link):
        def __init__(self):
            pass

        def forward(self, x):
            return x

    for use in (lambda: Wrong()(1), lambda: Wrong().init_scope().__enter__(), lambda: Wrong().add_param('w', (2,))):
        with pytest.raises(RuntimeError, match=r'^Link\.__init__\(\) has not been called\.$'):
            use()


# -- calling --


def test_calling_runs_forward(layer):
    assert layer()(3) == 6


@pytest.mark.host('nothing is computed')
def test_a_model_may_define_call_itself():
    class Old(Chain):
        def __call__(self, x):
            return x + 1

    assert Old()(1) == 2


@pytest.mark.host('nothing is computed')
def test_a_class_mixed_in_may_bring_the_call():
    class Mixin:
        def __call__(self, *args, **kwargs):
            return 'mixin', args, kwargs

    class Mixed(Link, Mixin):
        def forward(self, x):
            return 'forward'

    assert Mixed()(1, a=2) == ('mixin', (1,), {'a': 2})


@pytest.mark.host('nothing is computed')
def test_a_class_mixed_in_is_initialized_by_name():
    class Mixin:
        def __init__(self, value):
            self.value = value

    class Mixed(Link, Mixin):
        def __init__(self):
            super().__init__()
            Mixin.__init__(self, 3)

    assert Mixed().value == 3


@pytest.mark.host('texts of errors')
def test_a_link_without_forward_says_so():
    with pytest.raises(AttributeError, match="'Chain' object has no attribute 'forward'"):
        Chain()(1)


# -- the tree --


def test_walking_gives_paths_from_the_link_at_hand(make_model):
    model = make_model()
    assert names(model.namedparams()) == PATHS
    assert names(model.b.namedparams()) == [p[2:] for p in PATHS if p.startswith('/b')]
    assert names(model.namedlinks()) == ['/', '/a', '/b', '/b/0', '/b/1', '/b/1/c']
    assert names(model.namedlinks(skipself=True)) == ['/a', '/b', '/b/0', '/b/1', '/b/1/c']
    assert [link.name for link in model.links()] == [None, 'a', 'b', '0', '1', 'c']
    assert list(model.links(skipself=True)) == list(model.links())[1:]
    assert list(model.children()) == [model.a, model.b]
    assert [id(p) for p in model.params()] == [id(p) for _, p in model.namedparams()]


def test_uninitialized_parameters_can_be_left_out(make_model):
    model = make_model()
    assert names(model.namedparams(include_uninit=False)) == [p for p in PATHS if 'late' not in p]
    assert len(list(model.params(include_uninit=False))) == 4


def test_walking_is_lazy(make_model):
    for walk in (Link.params, Link.namedparams, Link.links, Link.namedlinks, Link.children):
        iterator = walk(make_model())
        assert iter(iterator) is iterator


def test_text_shows_the_tree(make_model):
    assert str(Link()) == 'Link()'
    assert str(Layer()) == 'Layer(n=2)'
    assert str(make_model()) == (
        'Chain(\n  (a): Layer(n=2),\n  (b): ChainList(\n    (0): Layer(n=3),\n    (1): Chain(\n'
        '      (c): Layer(n=4),\n    ),\n  ),\n)'
    )


def test_chain_gives_children_by_name(make_model):
    model = make_model()
    assert model['a'] is model.a


@pytest.mark.host('texts of errors')
def test_chain_refuses_what_is_not_a_link():
    with pytest.raises(TypeError, match='cannot register a non-link object as a child'):
        Chain(a=3)


@pytest.mark.host('texts of errors')
def test_chain_refuses_taken_names():
    chain = Chain(a=Link())
    with pytest.raises(AttributeError, match='cannot register a new link a: attribute exists'):
        chain.add_link('a', Link())
    with pytest.raises(AttributeError, match='cannot register a new link a: attribute exists'):
        with chain.init_scope():
            chain.a = Link()


# -- parameters and gradients --


def test_count_params_warns_of_each_uninitialized_parameter(layer):
    link = layer()
    with pytest.warns(UserWarning, match="Parameter '/late' has not been initialized") as caught:
        assert link.count_params() == 6
    assert len(caught) == 1
    link.late.initialize((2, 2))
    assert link.count_params() == 10


def test_cleargrads_reaches_parameters_that_come_later(make_model):
    model = make_model()
    model.cleargrads()
    model.a.late.initialize((2,))
    assert all(p.grad is None for p in model.params())


def test_zerograds_is_deprecated(device):
    link = Link(w=(2,)).to_device(device)
    with pytest.warns(DeprecationWarning) as caught:
        link.zerograds()
    assert str(caught[0].message) == 'Link.zerograds is deprecated. Use Link.cleargrads instead.'
    assert_array_equal(link.w.grad, [0, 0])


def test_addgrads_adds_every_gradient(device, xp):
    mine, theirs = (Chain(a=Link(w=(2,)), b=ChainList(Link(w=(3,)))).to_device(device) for _ in range(2))
    for model, value in ((mine, 1), (theirs, 2)):
        for param in model.params():
            param.grad = xp.full_like(param.array, value)
    mine.a.w.cleargrad()
    mine.addgrads(theirs)
    assert_array_equal(mine.a.w.grad, [2, 2])
    assert_array_equal(mine.b[0].w.grad, [3, 3, 3])


def test_updates_are_switched_off_and_on(make_model):
    model = make_model()
    assert not model.update_enabled
    model.a.W.update_rule = UpdateRule()
    model.p.update_rule = UpdateRule()
    assert model.update_enabled
    model.a.disable_update()
    assert model.update_enabled and not model.a.update_enabled
    model.disable_update()
    assert not model.update_enabled
    model.enable_update()
    assert model.a.W.update_rule.enabled and model.p.update_rule.enabled


# -- copies --


def test_share_copies_the_links_but_not_the_arrays(xp, make_model):
    model = make_model()
    model.name = 'model'
    model.p.grad = xp.ones_like(model.p.array)
    new = model.copy()
    assert new.name is None and new.a.name == 'a' and new.b[1].c.name == 'c'
    for (path, old_param), (_, new_param) in zip(model.namedparams(), new.namedparams()):
        assert new_param is not old_param, path
        assert new_param.array is old_param.array
        assert new_param.grad is None
    assert new.a.average is model.a.average
    with new.init_scope():
        new.q = Parameter(0, (1,))
    assert '/q' not in names(model.namedparams())


def test_share_goes_on_sharing_what_is_initialized_later(layer):
    link = layer()
    new = link.copy()
    link.late.initialize((2,))
    assert new.late.array is link.late.array


@pytest.mark.parametrize('mode', ['copy', 'init'])
def test_copy_and_init_have_arrays_of_their_own(xp, make_model, mode):
    model = make_model()
    new = model.copy(mode)
    for (path, old_param), (_, new_param) in zip(
        model.namedparams(include_uninit=False), new.namedparams(include_uninit=False)
    ):
        assert new_param.array is not old_param.array
        assert new_param.shape == old_param.shape
        same = xp.array_equal(new_param.array, old_param.array)
        assert same == (mode == 'copy' or path == '/p')
    assert new.a.average is not model.a.average
    assert not new.a.late.is_initialized


def test_init_gives_an_array_parameter_its_first_value(xp):
    link = Link()
    with link.init_scope():
        link.w = Parameter(xp.arange(3, dtype=np.float32))
    assert_array_equal(link.copy('init').w.array, [0, 1, 2])


@pytest.mark.host('texts of errors')
def test_unknown_copy_mode_is_refused():
    with pytest.raises(ValueError, match="should be either 'init','copy', or 'share'. But deep was given."):
        Link().copy('deep')


def test_local_hooks_of_a_copy_are_its_own(layer):
    link = layer()
    link.add_hook(chainlite.LinkHook(), 'first')
    new = link.copy()
    new.add_hook(chainlite.LinkHook(), 'second')
    assert list(link.local_link_hooks) == ['first']
    assert list(new.local_link_hooks) == ['first', 'second']


@pytest.mark.parametrize('mode', ['init', 'copy', 'share'])
def test_repeat_makes_a_sequential_of_copies(layer, xp, mode):
    link = layer()
    repeated = link.repeat(3, mode)
    assert type(repeated) is Sequential and len(repeated) == 3
    arrays = [one.W.array for one in repeated]
    if mode == 'share':
        assert all(array is link.W.array for array in arrays)
    else:
        assert len({id(array) for array in [link.W.array, *arrays]}) == 4
        assert xp.array_equal(arrays[0], arrays[1]) == (mode == 'copy')
    assert len(link.repeat(0)) == 0


def test_blocks_are_repeated_into_a_deep_network(device, xp):
    class ConvBNReLU(Chain):
        def __init__(self):
            super().__init__(conv=L.Convolution2D(None, 4, 3, pad=1, nobias=True), bn=L.BatchNormalization(4))

        def forward(self, x):
            return F.relu(self.bn(self.conv(x)))

    net = ConvBNReLU().repeat(16, mode='init').to_device(device)
    assert net(xp.ones((2, 3, 5, 5), np.float32)).shape == (2, 4, 5, 5)
    assert net.count_params() == 4 * 3 * 9 + 15 * 4 * 4 * 9 + 16 * 8
    assert len({id(p.array) for p in net.params()}) == 48


def test_deepcopy_and_pickle_keep_everything(device, xp, make_model):
    model = make_model()
    for new in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert str(new) == str(model)
        assert new.device == device and {p.device for p in new.params()} == {device}
        for (path, old_param), (new_path, new_param) in zip(model.namedparams(), new.namedparams()):
            assert new_path == path and new_param.name == old_param.name
            assert (
                new_param.array is None if old_param.array is None else xp.array_equal(new_param.array, old_param.array)
            )


# -- values from another link --


def test_copyparams_copies_values_and_persistents_but_no_gradients(xp, make_model):
    mine, theirs = make_model(), make_model()
    theirs.a.average[...] = 7
    mine.p.grad = xp.ones_like(mine.p.array)
    average = mine.a.average
    mine.copyparams(theirs)
    for param, other in zip(mine.params(include_uninit=False), theirs.params(include_uninit=False)):
        assert_array_equal(param.array, other.array)
    assert mine.a.average is average
    assert_array_equal(average, [7, 7])
    assert_array_equal(mine.p.grad, xp.ones(5))


def test_copyparams_can_leave_persistents(layer):
    mine, theirs = layer(), layer()
    theirs.average[...] = 7
    mine.copyparams(theirs, copy_persistent=False)
    assert_array_equal(mine.average, [0, 0])


def test_copyparams_initializes_what_waits(layer):
    mine, theirs = layer(), layer()
    theirs.late.initialize((2,))
    mine.copyparams(theirs)
    assert_array_equal(mine.late.array, theirs.late.array)


def test_copyparams_changes_nothing_if_the_shapes_differ(device, xp):
    mine, theirs = (Chain(a=Link(w=(2,)), b=Link(w=(n,))).to_device(device) for n in (3, 4))
    theirs.a.w.array[...] = 1
    with pytest.raises(ValueError, match=r'/b/w has shape \(3,\).*\(4,\)'):
        mine.copyparams(theirs)
    assert xp.isnan(mine.a.w.array).all()


# -- saving --


class Recorder(chainlite.Serializer):
    def __init__(self, path='', saved=None):
        self.path = path
        self.saved = {} if saved is None else saved

    def __getitem__(self, key):
        return Recorder(f'{self.path}{key}/', self.saved)

    def __call__(self, key, value):
        self.saved[self.path + key] = value
        return value


class Player(chainlite.Deserializer):
    def __init__(self, saved, path=''):
        self.saved = saved
        self.path = path

    def __getitem__(self, key):
        return Player(self.saved, f'{self.path}{key}/')

    def __call__(self, key, value):
        saved = self.saved[self.path + key]
        if isinstance(value, chainlite.get_array_types()):
            value[...] = saved
            return value
        return saved


def test_serialize_names_parameters_and_persistents(make_model):
    model = make_model()
    recorder = Recorder()
    model.serialize(recorder)
    assert sorted(recorder.saved) == sorted([p[1:] for p in PATHS] + ['a/average', 'b/0/average', 'b/1/c/average'])
    assert recorder.saved['a/W'] is model.a.W.array
    assert recorder.saved['a/late'] is None


def test_serialize_gives_waiting_parameters_the_shape_of_the_file(make_model):
    saved, loaded = make_model(), make_model()
    saved.a.late.initialize((4, 2))
    recorder = Recorder()
    saved.serialize(recorder)
    array = loaded.a.W.array
    loaded.serialize(Player(recorder.saved))
    assert loaded.a.W.array is array
    assert_array_equal(loaded.a.late.array, saved.a.late.array)
    assert not loaded.b[0].late.is_initialized


# -- devices --


class Visitor(chainlite.device_resident.DeviceResidentsVisitor):
    """Records what it is shown, and doubles arrays."""

    def __init__(self):
        self.residents, self.variables = [], []

    def visit_device_resident(self, device_resident):
        self.residents.append(device_resident)

    def visit_variable(self, param):
        self.variables.append(param)

    def visit_array(self, arr):
        return arr * 2


def test_a_visitor_sees_all_links_parameters_and_arrays(make_model):
    model = make_model()
    model.a.average[...] = 3
    model.a.add_persistent('count', 3)
    visitor = Visitor()
    model.device_resident_accept(visitor)
    assert visitor.residents == list(model.links())
    assert {id(p) for p in visitor.variables} == {id(p) for p in model.params()}
    assert_array_equal(model.a.average, [6, 6])
    assert model.a.count == 3


def test_moving_returns_the_link(device, make_model):
    model = make_model()
    arrays = [p.array for p in model.params()]
    assert model.to_device(device) is model
    assert all(p.array is array for p, array in zip(model.params(), arrays))
    assert model.device == device and model.xp is device.xp
    with pytest.warns(DeprecationWarning, match='to_cpu is deprecated'):
        assert model.to_cpu() is model
    assert model.device == chainlite.get_device('@numpy') and type(model.p.array) is type(model.a.average) is np.ndarray
    assert model.from_chx() is model
    with pytest.raises(RuntimeError, match='ChainerX is not available'):
        model.to_chx()


@pytest.mark.host('nothing is computed')
def test_from_params_is_for_classes_that_define_it():
    with pytest.raises(NotImplementedError, match='does not implement `from_params`'):
        Link.from_params(1)


@pytest.mark.host('no arrays: names and structure')
def test_child_that_gives_its_parameters_itself_is_asked():
    class Half(chainlite.Link):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.a, self.b = chainlite.Parameter(0, (1,)), chainlite.Parameter(0, (1,))

        def params(self, include_uninit=True):
            return (p for p in super().params(include_uninit) if p is not self.b)

    chain = chainlite.Chain(one=Half(), two=chainlite.Chain(half=Half()))
    assert list(chain.params()) == [chain.one.a, chain.two.half.a]
    assert list(chain.one.params()) == [chain.one.a]
