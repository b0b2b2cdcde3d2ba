"""npz files: what is written, what is read, and what happens to files that do not fit."""

import importlib.util
import io
import pathlib
import zipfile

import ml_dtypes
import numpy as np
import pytest
from comparing import assert_array_equal

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite.serializers import DictionarySerializer, NpzDeserializer, load_npz, npz, save_npz

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location('serializer_samples', HERE / 'samples.py')
samples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(samples)


class Values:
    """An object with any values."""

    def __init__(self, **values):
        self.__dict__.update(values)

    def serialize(self, serializer):
        for name, value in list(vars(self).items()):
            setattr(self, name, serializer(name, value))


def arrays_of(obj):
    return {key: np.array(a) for key, a in npz.serialize(obj).items()}


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for key in expected:
        assert actual[key].dtype == expected[key].dtype, key
        assert_array_equal(actual[key], expected[key], err_msg=key)


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.host('what is written to files comes from the host; arrays of devices are below')
@pytest.mark.parametrize('compression', [True, False])
@pytest.mark.parametrize(
    'value',
    [3, -(2**60), 2.5, True, 'text', 'ä€😀', '', np.float16(1.5), np.int8(3), 1 + 2j, None],
    ids=repr,
)
def test_scalar_comes_back_with_its_type(tmp_path, value, compression):
    save_npz(tmp_path / 'f', Values(x=value), compression)
    blank = type(value)() if value is not None else None
    loaded = Values(x=blank)
    load_npz(tmp_path / 'f', loaded)
    assert loaded.x == value
    assert type(loaded.x) is type(value)


@pytest.mark.host('what is written to files comes from the host; arrays of devices are below')
@pytest.mark.parametrize(
    'dtype', ['f2', 'f4', 'f8', 'i1', 'i8', 'u2', '?', 'c8', 'U3', 'S3', '>f4', ml_dtypes.bfloat16]
)
@pytest.mark.parametrize('shape', [(), (3,), (2, 3), (0, 3)])
@pytest.mark.parametrize('compression', [True, False])
def test_array_comes_back_with_its_dtype(tmp_path, dtype, shape, compression):
    x = (np.arange(np.prod(shape, dtype=int)) + 1).reshape(shape).astype(dtype)
    save_npz(tmp_path / 'f', Values(x=x), compression)
    loaded = Values(x=None)
    load_npz(tmp_path / 'f', loaded)
    assert loaded.x.dtype == x.dtype
    assert loaded.x.shape == shape
    assert loaded.x.flags.writeable
    assert_array_equal(loaded.x, x)


@pytest.mark.parametrize('dtype', ['f2', 'f4', 'f8', 'i4', '?', 'c8', ml_dtypes.bfloat16])
@pytest.mark.parametrize('shape', [(), (2, 3), (0, 3)])
def test_array_of_a_device_is_loaded_in_place(tmp_path, xp, dtype, shape):
    x = (xp.arange(np.prod(shape, dtype=int)) + 1).reshape(shape).astype(dtype)
    save_npz(tmp_path / 'f', Values(x=x))
    loaded = Values(x=xp.zeros(shape, dtype))
    target = loaded.x
    load_npz(tmp_path / 'f', loaded)
    assert loaded.x is target and isinstance(target, xp.ndarray)
    assert_array_equal(target, x)


def test_strided_arrays_are_saved_and_loaded_in_place(tmp_path, xp):
    x = xp.arange(24.0).reshape(4, 6)
    saved = Values(a=x[::2, ::-3], b=xp.asfortranarray(x))
    save_npz(tmp_path / 'f', saved)
    base = xp.zeros((4, 4))
    loaded = Values(a=base[::2, ::2], b=xp.zeros((4, 6), order='F'))
    target = loaded.a
    load_npz(tmp_path / 'f', loaded)
    assert loaded.a is target
    assert_array_equal(base[::2, ::2], saved.a)
    assert_array_equal(loaded.b, x)


def test_fortran_ordered_entry_of_numpy_is_read(xp, tmp_path):
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / 'f.npz', x=x)
    loaded = Values(x=xp.zeros((2, 3)))
    load_npz(tmp_path / 'f.npz', loaded)
    assert_array_equal(loaded.x, x)


def test_bfloat16_loads_into_float32_and_back(xp, tmp_path):
    x = np.array([1, 1.5, -np.inf, 1e30], ml_dtypes.bfloat16)
    save_npz(tmp_path / 'f', Values(x=xp.asarray(x)))
    wide, narrow = Values(x=xp.zeros(4, 'f')), Values(x=xp.zeros(4, ml_dtypes.bfloat16))
    load_npz(tmp_path / 'f', wide)
    load_npz(tmp_path / 'f', narrow)
    assert_array_equal(wide.x, x.astype('f'))
    assert_array_equal(narrow.x, x)
    with np.load(tmp_path / 'f') as plain:  # a reader that knows nothing of bfloat16 sees the right numbers
        assert plain['x'].dtype == np.float32
        assert_array_equal(plain['x'], x.astype('f'))


@pytest.mark.host('no arrays of a device')
def test_list_is_saved_as_an_array(tmp_path):
    save_npz(tmp_path / 'f', Values(x=[1, 2], y=(1.5, 2.5)))
    loaded = Values(x=None, y=None)
    load_npz(tmp_path / 'f', loaded)
    assert loaded.x.tolist() == [1, 2]
    assert loaded.y.tolist() == [1.5, 2.5]


@pytest.mark.host('no arrays of a device')
@pytest.mark.parametrize('value', [{'a': 1}, {1}, object(), [[1], [1, 2]]], ids=['dict', 'set', 'object', 'ragged'])
def test_value_without_array_is_refused(tmp_path, value):
    with pytest.raises(TypeError, match='cannot be converted'):
        save_npz(tmp_path / 'f', Values(x=value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.host('no arrays of a device')
def test_array_of_objects_is_refused(tmp_path):
    with pytest.raises(TypeError, match="'x' is an array of objects"):
        save_npz(tmp_path / 'f', Values(x=np.array([{}, 1])))
    assert list(tmp_path.iterdir()) == []


# -- None, and pickles ------------------------------------------------------------------------------------------------


@pytest.mark.host('no arrays of a device')
def test_none_is_written_as_numpy_1_pickles_it(tmp_path):
    save_npz(tmp_path / 'f', Values(x=None))
    with zipfile.ZipFile(tmp_path / 'f') as archive:
        content = archive.read('x.npy')
    assert b'cnumpy.core.multiarray\n' in content  # NumPy 1 has no numpy._core
    stored = np.lib.format.read_array(io.BytesIO(content), allow_pickle=True)
    assert stored.shape == ()
    assert stored[()] is None


@pytest.mark.host('no arrays of a device')
@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_none_is_recognised_in_every_protocol(tmp_path, protocol):
    import pickle

    array = np.array(None, dtype=object)
    with zipfile.ZipFile(tmp_path / 'f', 'w') as archive, archive.open('x.npy', 'w') as f:
        np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(array))
        f.write(pickle.dumps(array, protocol))
    loaded = Values(x=5)
    load_npz(tmp_path / 'f', loaded)
    assert loaded.x is None


class Bomb:
    armed = False

    def __reduce__(self):
        return setattr, (Bomb, 'armed', True)


@pytest.mark.host('no arrays of a device')
@pytest.mark.parametrize(
    'value', [np.array(Bomb(), object), np.array([None, None], object), np.array({}, object), np.array([None], object)]
)
def test_pickle_is_never_loaded(tmp_path, value):
    np.savez(tmp_path / 'f.npz', x=value, y=1)
    with pytest.raises(ValueError, match="f.npz: entry 'x' is a pickled object"):
        load_npz(tmp_path / 'f.npz', Values(x=None))
    with np.load(tmp_path / 'f.npz', allow_pickle=True) as f, pytest.raises(ValueError, match='pickled object'):
        NpzDeserializer(f)('x', None)
    loaded = Values(y=0)  # the other entries can be read
    load_npz(tmp_path / 'f.npz', loaded)
    assert loaded.y == 1
    assert not Bomb.armed


# -- paths, strictness ------------------------------------------------------------------------------------------------


@pytest.mark.host('no arrays of a device')
def test_paths_are_joined_with_slashes():
    target = {}
    serializer = DictionarySerializer(target)
    serializer['/a/']['b']('/c', 1)
    assert list(target) == ['a/b/c']
    assert NpzDeserializer(target)['a']['b']('c', 0) == 1
    assert NpzDeserializer(target, path='a/')['b']('c', 0) == 1


def test_part_of_a_file_is_loaded_by_path(device, tmp_path):
    save_npz(tmp_path / 'f', chainlite.Chain(a=L.Linear(2, 3), b=L.Linear(4, 5)))
    link = L.Linear(4, 5).to_device(device)
    load_npz(tmp_path / 'f', link, path='b/')
    with np.load(tmp_path / 'f') as f:
        assert_array_equal(link.W.array, f['b/W'])


def test_missing_entry_is_an_error_that_names_file_and_entry(device, tmp_path):
    save_npz(tmp_path / 'f', chainlite.Chain(a=L.Linear(2, 3)))
    chain = chainlite.Chain(a=L.Linear(2, 3), b=L.Linear(4, 5)).to_device(device)
    before = arrays_of(chain)
    with pytest.raises(KeyError, match="f has no entry 'b/W'.*strict=False"):
        load_npz(tmp_path / 'f', chain)
    assert_same(arrays_of(chain), before)
    load_npz(tmp_path / 'f', chain, strict=False)
    with np.load(tmp_path / 'f') as f:
        assert_array_equal(chain.a.W.array, f['a/W'])
    assert_array_equal(chain.b.W.array, before['b/W'])


@pytest.mark.parametrize(
    'ignored', ['a/W', ['a/W'], lambda key: key == 'a/W', [lambda key: key.endswith('W')]], ids=range(4)
)
def test_ignored_entries_stay(device, tmp_path, ignored):
    saved, loaded = (chainlite.Chain(a=L.Linear(2, 3, initial_bias=i)).to_device(device) for i in (1, 2))
    save_npz(tmp_path / 'f', saved)
    before = loaded.a.W.array.copy()
    load_npz(tmp_path / 'f', loaded, ignore_names=ignored)
    assert_array_equal(loaded.a.W.array, before)
    assert_array_equal(loaded.a.b.array, saved.a.b.array)


def test_ignored_entry_may_have_the_wrong_shape(device, tmp_path):
    save_npz(tmp_path / 'f', chainlite.Chain(a=L.Linear(2, 3)))
    loaded = chainlite.Chain(a=L.Linear(9, 3, initial_bias=5)).to_device(device)
    load_npz(tmp_path / 'f', loaded, ignore_names='a/W')
    assert_array_equal(loaded.a.b.array, [0, 0, 0])


@pytest.mark.host('no arrays of a device')
def test_ignore_names_of_another_type_are_refused(tmp_path):
    save_npz(tmp_path / 'f', Values(x=1))
    with pytest.raises(ValueError, match='ignore_names needs to be a callable, string or list of them'):
        load_npz(tmp_path / 'f', Values(x=1), ignore_names=3)


def test_value_is_cast_only_where_it_keeps(xp, tmp_path):
    d = NpzDeserializer({'x': np.array(2.5), 'i': np.array(2**40), 'one': np.array([5])})
    with pytest.raises(TypeError, match='Cannot safely deserialize from numpy array with dtype=float64'):
        d('x', 1)
    with pytest.raises(TypeError, match='Cannot safely deserialize'):
        d('i', np.int32(1))
    assert d('i', 1.5) == float(2**40)
    assert d('one', 0) == 5
    with pytest.raises(TypeError, match="entry 'x': Cannot cast array data from .*same_kind"):
        d('x', xp.zeros((), 'i'))


# -- files that do not fit --------------------------------------------------------------------------------------------


@pytest.fixture
def lazy_model(device):
    """Makes a model; the link `lazy` has no shape yet."""
    return lambda: chainlite.Chain(a=L.Linear(2, 3), lazy=L.Linear(None, 2), z=L.Linear(2, 3)).to_device(device)


@pytest.fixture
def saved_model(lazy_model):
    """Writes a file of such a model, in which all has a shape."""

    def saved_model(path, **changes):
        model = lazy_model()
        model.lazy(model.xp.ones((1, 4), 'f'))
        entries = {**npz.serialize(model), **changes}
        np.savez(path, **{key: a for key, a in entries.items() if a is not None})

    return saved_model


def assert_untouched(load, model, error, match):
    """The load fails, and the model is what it was: array objects, values, gradients, what has no shape yet."""
    before = arrays_of(model)
    identities = [id(p.array) for p in model.params()]
    with pytest.raises(error, match=match):
        load(model)
    assert_same(arrays_of(model), before)
    assert [id(p.array) for p in model.params()] == identities
    assert not model.lazy.W.is_initialized
    model.lazy(model.xp.ones((1, 7), 'f'))  # still free to take its shape
    assert model.lazy.W.shape == (2, 7)


def test_wrong_shape_leaves_the_model_alone(lazy_model, saved_model, tmp_path):
    saved_model(tmp_path / 'f.npz', **{'z/W': np.ones((9, 9), 'f')})
    match = r"f.npz: entry 'z/W' has shape \(9, 9\), but .* \(3, 2\)"
    assert_untouched(lambda m: load_npz(tmp_path / 'f.npz', m), lazy_model(), ValueError, match)


def test_array_that_would_be_repeated_is_of_the_wrong_shape(lazy_model, saved_model, tmp_path):
    saved_model(tmp_path / 'f.npz', **{'z/b': np.ones((1,), 'f')})
    assert_untouched(lambda m: load_npz(tmp_path / 'f.npz', m), lazy_model(), ValueError, "entry 'z/b' has shape")


def test_wrong_dtype_leaves_the_model_alone(lazy_model, saved_model, tmp_path):
    saved_model(tmp_path / 'f.npz', **{'z/W': np.array([['a', 'b']] * 3)})
    assert_untouched(
        lambda m: load_npz(tmp_path / 'f.npz', m), lazy_model(), TypeError, "f.npz: entry 'z/W': Cannot cast"
    )


def test_missing_entry_leaves_lazy_parameters_without_shape(lazy_model, saved_model, tmp_path):
    saved_model(tmp_path / 'f.npz', **{'z/W': None})
    assert_untouched(lambda m: load_npz(tmp_path / 'f.npz', m), lazy_model(), KeyError, "f.npz has no entry 'z/W'")


@pytest.mark.parametrize('compression', [True, False])
def test_every_truncation_is_one_error_that_names_the_file(lazy_model, tmp_path, compression):
    model = lazy_model()
    save_npz(tmp_path / 'f', model, compression)
    content = (tmp_path / 'f').read_bytes()
    for n in range(0, len(content), 97):
        (tmp_path / 'cut').write_bytes(content[:n])
        with pytest.raises(zipfile.BadZipFile, match='cut is not an npz file, or it is cut short'):
            load_npz(tmp_path / 'cut', lazy_model())


@pytest.mark.parametrize('compression', [True, False])
def test_damage_inside_is_found_before_anything_is_loaded(lazy_model, tmp_path, compression):
    saved = lazy_model()
    saved.lazy(saved.xp.ones((1, 4), 'f'))
    save_npz(tmp_path / 'f', saved, compression)
    content = bytearray((tmp_path / 'f').read_bytes())
    with zipfile.ZipFile(tmp_path / 'f') as archive:
        info = archive.getinfo('z/W.npy')
    content[info.header_offset + len('z/W.npy') + 30 + info.compress_size - 3] ^= 0xFF
    (tmp_path / 'f').write_bytes(content)
    match = "f: entry 'z/W' is damaged"
    assert_untouched(lambda m: load_npz(tmp_path / 'f', m), lazy_model(), zipfile.BadZipFile, match)


@pytest.mark.parametrize('content', [b'', b'junk' * 50, b'PK\x03\x04' + b'\0' * 100, b'\x80\x03]q\x00.'])
def test_foreign_file_is_one_error_that_names_it(lazy_model, tmp_path, content):
    (tmp_path / 'f').write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match='f is not an npz file'):
        load_npz(tmp_path / 'f', lazy_model())


def test_npy_file_and_other_archives_are_foreign(lazy_model, tmp_path):
    np.save(tmp_path / 'f.npy', np.ones(3))
    with pytest.raises(zipfile.BadZipFile, match='f.npy is not an npz file'):
        load_npz(tmp_path / 'f.npy', lazy_model())
    with zipfile.ZipFile(tmp_path / 'f.zip', 'w') as archive:
        archive.writestr('archive/data.pkl', b'')
    with pytest.raises(zipfile.BadZipFile, match='f.zip is a zip archive, but not an npz file'):
        load_npz(tmp_path / 'f.zip', lazy_model(), strict=False)


def test_missing_file_is_a_file_not_found_error(lazy_model, tmp_path):
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / 'nothing', lazy_model())


def test_error_in_an_own_serialize_puts_back_what_was_loaded(device, tmp_path):
    class Own(chainlite.Chain):
        def __init__(self):
            super().__init__(a=L.Linear(2, 3))
            self.history = [1]

        def serialize(self, serializer):
            super().serialize(serializer)
            self.note = 'loaded'
            self.history.append(2)
            if not isinstance(serializer, chainlite.Serializer):
                raise RuntimeError('own trouble')

    model = Own().to_device(device)
    target = {}
    chainlite.Chain.serialize(Own(), DictionarySerializer(target))
    before = model.a.W.array.copy()
    with pytest.raises(RuntimeError, match='own trouble'):
        NpzDeserializer(target).load(model)
    assert_array_equal(model.a.W.array, before)
    assert not hasattr(model, 'note')
    assert model.history == [1]


def test_part_that_was_loaded_by_itself_is_put_back_too(device):
    class Whole:
        def __init__(self):
            self.part = L.Linear(2, 3).to_device(device)

        def serialize(self, serializer):
            serializer['part'].load(self.part)
            raise RuntimeError('own trouble')

    whole = Whole()
    before = whole.part.W.array.copy()
    with pytest.raises(RuntimeError, match='own trouble'):
        NpzDeserializer({'part/W': np.ones((3, 2)), 'part/b': np.ones(3)}).load(whole)
    assert_array_equal(whole.part.W.array, before)


def test_optimizer_that_does_not_fit_stays_as_it_was(device, tmp_path):
    model = samples.make_model(chainlite, lazy=False).to_device(device)
    optimizer = samples.make_optimizer(chainlite, model)
    entries = npz.serialize(optimizer)
    del entries['seq/1/W/v']
    np.savez(tmp_path / 'f.npz', **entries)
    optimizer = samples.make_optimizer(chainlite, model, steps=3)
    before = arrays_of(optimizer)
    with pytest.raises(KeyError, match="f.npz has no entry 'seq/1/W/v'"):
        load_npz(tmp_path / 'f.npz', optimizer)
    assert_same(arrays_of(optimizer), before)


# -- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.host('no arrays of a device')
def test_interrupted_write_leaves_the_old_file(tmp_path):
    save_npz(tmp_path / 'f', Values(x=1))
    content = (tmp_path / 'f').read_bytes()
    with pytest.raises(TypeError):
        save_npz(tmp_path / 'f', Values(x=np.ones(1000), y=np.array([{}])))
    assert (tmp_path / 'f').read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ['f']


@pytest.mark.host('no arrays of a device')
def test_name_gets_no_suffix(tmp_path):
    save_npz(str(tmp_path / 'model'), Values(x=1))
    assert [p.name for p in tmp_path.iterdir()] == ['model']


@pytest.mark.parametrize('compression', [True, False])
def test_file_objects_are_written_and_read_in_place(xp, compression):
    f = io.BytesIO()
    save_npz(f, Values(x=xp.arange(5)), compression)
    f.seek(0)
    loaded = Values(x=None)
    load_npz(f, loaded)
    assert loaded.x.tolist() == [0, 1, 2, 3, 4]
    assert not f.closed


@pytest.mark.host('no arrays of a device')
def test_open_npz_file_of_numpy_is_read(tmp_path):
    save_npz(tmp_path / 'f', Values(x=None, y=np.arange(3)))
    with np.load(tmp_path / 'f') as f:
        deserializer = NpzDeserializer(f)
        assert deserializer('x', 1) is None
        assert deserializer('y', None).tolist() == [0, 1, 2]
        with pytest.raises(KeyError, match="f has no entry 'z'"):
            deserializer('z', None)


# -- Chainer's files --------------------------------------------------------------------------------------------------


def test_model_of_chainer_is_loaded(device):
    model = samples.make_model(chainlite).to_device(device)
    load_npz(HERE / 'chainer_7_8_1' / 'model.npz', model)
    expected = samples.make_model(chainlite).to_device(device)
    samples.fill(expected)
    assert_same(arrays_of(model), arrays_of(expected))
    assert (model.count, model.rate, model.flag, model.nothing) == (3, 0.5, True, None)
    assert not model.lazy.W.is_initialized


def test_optimizer_of_chainer_is_loaded_and_goes_on_alike(device):
    model = samples.make_model(chainlite, lazy=False).to_device(device)
    samples.fill(model)
    optimizer = samples.make_optimizer(chainlite, model, steps=0)
    load_npz(HERE / 'chainer_7_8_1' / 'optimizer.npz', optimizer)
    other = samples.make_model(chainlite, lazy=False).to_device(device)
    samples.fill(other)
    assert_same(arrays_of(optimizer), arrays_of(samples.make_optimizer(chainlite, other)))
    assert (optimizer.t, optimizer.epoch) == (2, 1)


def test_adam_state_of_chainer_1_needs_strict_false(device, tmp_path):
    """Before version 2 there was no step count per parameter."""
    model = samples.make_model(chainlite, lazy=False).to_device(device)
    entries = npz.serialize(samples.make_optimizer(chainlite, model))
    np.savez(tmp_path / 'f.npz', **{key: a for key, a in entries.items() if not key.endswith('/t')})
    optimizer = samples.make_optimizer(chainlite, model, steps=0)
    with pytest.raises(KeyError, match="/t'.*strict=False"):
        load_npz(tmp_path / 'f.npz', optimizer)
    load_npz(tmp_path / 'f.npz', optimizer, strict=False)
    assert optimizer.t == 2
    assert_array_equal(model.l1.W.update_rule.state['m'], entries['l1/W/m'])


def test_loaded_model_computes_what_the_saved_one_does(device, tmp_path):
    saved = chainlite.Sequential(L.Convolution2D(2, 3, 3), L.BatchNormalization(3), F.relu, L.Linear(None, 4))
    saved.to_device(device)
    x = device.send(np.random.RandomState(0).rand(5, 2, 6, 6).astype('f'))
    saved(x)
    save_npz(tmp_path / 'f', saved)
    loaded = chainlite.Sequential(L.Convolution2D(2, 3, 3), L.BatchNormalization(3), F.relu, L.Linear(None, 4))
    loaded.to_device(device)
    load_npz(tmp_path / 'f', loaded)
    with chainlite.using_config('train', False):
        assert_array_equal(loaded(x).array, saved(x).array)


def test_a_dictionary_of_arrays_is_saved_by_its_keys(xp, device, tmp_path):
    save_npz(tmp_path / 'x.npz', {'W': xp.ones((2, 3), 'f'), 'b': xp.zeros(2, 'f')})
    link = L.Linear(3, 2, initial_bias=1).to_device(device)
    load_npz(tmp_path / 'x.npz', link)
    assert (link.W.array == 1).all() and not link.b.array.any()
