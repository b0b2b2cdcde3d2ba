"""HDF5 files: what is written, what is read, and what happens to files that do not fit."""

import importlib.util
import io
import pathlib
import subprocess
import sys

import h5py
import ml_dtypes
import numpy as np
import pytest
from comparing import assert_array_equal

import chainlite
import chainlite.links as L
from chainlite.serializers import HDF5Deserializer, HDF5Serializer, load_hdf5, npz, save_hdf5

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


@pytest.mark.host('what is written to files comes from the host; arrays of devices are below')
@pytest.mark.parametrize('value', [3, 2.5, True, 'text', 'ä€😀', '', np.float16(1.5), np.int8(3), None], ids=repr)
def test_scalar_comes_back_with_its_type(tmp_path, value):
    save_hdf5(tmp_path / 'f', Values(x=value))
    loaded = Values(x=type(value)() if value is not None else None)
    load_hdf5(tmp_path / 'f', loaded)
    assert loaded.x == value
    assert type(loaded.x) is type(value)


@pytest.mark.host('what is written to files comes from the host; arrays of devices are below')
@pytest.mark.parametrize(
    'dtype', ['f2', 'f4', 'f8', 'i1', 'i8', 'u2', '?', 'c8', 'U3', 'S3', '>f4', ml_dtypes.bfloat16]
)
@pytest.mark.parametrize('shape', [(), (3,), (2, 3), (0, 3)])
def test_array_comes_back_with_its_dtype(tmp_path, dtype, shape):
    x = (np.arange(np.prod(shape, dtype=int)) + 1).reshape(shape).astype(dtype)
    save_hdf5(tmp_path / 'f', Values(x=x))
    loaded = Values(x=None)
    load_hdf5(tmp_path / 'f', loaded)
    if dtype != 'U3':  # HDF5's strings have no length
        assert loaded.x.dtype == x.dtype
    assert loaded.x.shape == shape
    assert_array_equal(loaded.x, x)


@pytest.mark.parametrize('dtype', ['f2', 'f4', 'f8', 'i4', '?', ml_dtypes.bfloat16])
@pytest.mark.parametrize('shape', [(), (2, 3), (0, 3)])
def test_array_of_a_device_is_loaded_in_place(tmp_path, xp, dtype, shape):
    x = (xp.arange(np.prod(shape, dtype=int)) + 1).reshape(shape).astype(dtype)
    save_hdf5(tmp_path / 'f', Values(x=x))
    loaded = Values(x=xp.zeros(shape, dtype))
    target = loaded.x
    load_hdf5(tmp_path / 'f', loaded)
    assert loaded.x is target and isinstance(target, xp.ndarray)
    assert_array_equal(target, x)


def test_bfloat16_loads_into_float32_and_back(xp, tmp_path):
    x = np.array([1, 1.5, -np.inf, 1e30], ml_dtypes.bfloat16)
    save_hdf5(tmp_path / 'f', Values(x=xp.asarray(x)))
    wide, narrow = Values(x=xp.zeros(4, 'f')), Values(x=xp.zeros(4, ml_dtypes.bfloat16))
    load_hdf5(tmp_path / 'f', wide)
    load_hdf5(tmp_path / 'f', narrow)
    assert_array_equal(wide.x, x.astype('f'))
    assert_array_equal(narrow.x, x)


def test_array_is_loaded_in_place_whatever_its_strides(xp, tmp_path):
    x = xp.arange(6.0).reshape(2, 3)
    save_hdf5(tmp_path / 'f', Values(x=x))
    base = xp.zeros((4, 6))
    loaded = Values(x=base[::2, ::-2])
    target = loaded.x
    load_hdf5(tmp_path / 'f', loaded)
    assert loaded.x is target
    assert_array_equal(base[::2, ::-2], x)


@pytest.mark.host('no arrays of a device')
def test_groups_and_compression(tmp_path):
    with h5py.File(tmp_path / 'f', 'w') as f:
        serializer = HDF5Serializer(f, compression=3)['/a/']
        serializer('x', np.ones((2, 3)))
        serializer['b']('/y', 1)
        assert serializer.compression == 3
        assert serializer.group.name == '/a'
        assert f['a/x'].compression_opts == 3
        assert f['a/b/y'].compression is None


@pytest.mark.host('no arrays of a device')
def test_missing_groups_and_entries(tmp_path):
    save_hdf5(tmp_path / 'f', chainlite.Chain(a=L.Linear(2, 3)))
    with h5py.File(tmp_path / 'f', 'r') as f:
        strict, lenient = HDF5Deserializer(f), HDF5Deserializer(f, strict=False)
        with pytest.raises(KeyError, match="f: entry 'b/c/W' is not in the file.*strict=False"):
            strict['b']['c']('W', None)
        with pytest.raises(KeyError, match="f: entry 'a' is not in the file"):
            strict('a', None)
        assert lenient['b']['c']('W', 5) == 5
        assert lenient['a']('W', None).shape == (3, 2)


@pytest.fixture
def lazy_model(device):
    """Makes a model; the link `lazy` has no shape yet."""
    return lambda: chainlite.Chain(a=L.Linear(2, 3), lazy=L.Linear(None, 2), z=L.Linear(2, 3)).to_device(device)


@pytest.fixture
def saved_model(lazy_model):
    """Writes a file of such a model, in which all has a shape."""

    def saved_model(path):
        model = lazy_model()
        model.lazy(model.xp.ones((1, 4), 'f'))
        save_hdf5(path, model)

    return saved_model


@pytest.fixture
def assert_untouched(lazy_model):
    def assert_untouched(path, error, match):
        model = lazy_model()
        before = arrays_of(model)
        with pytest.raises(error, match=match):
            load_hdf5(path, model)
        assert_same(arrays_of(model), before)
        assert not model.lazy.W.is_initialized
        model.lazy(model.xp.ones((1, 7), 'f'))
        assert model.lazy.W.shape == (2, 7)

    return assert_untouched


def test_wrong_shape_leaves_the_model_alone(saved_model, assert_untouched, tmp_path):
    saved_model(tmp_path / 'f')
    with h5py.File(tmp_path / 'f', 'a') as f:
        del f['z/W']
        f['z/W'] = np.ones((9, 9))
    assert_untouched(tmp_path / 'f', ValueError, r"f: entry 'z/W' has shape \(9, 9\), but .* \(3, 2\)")


def test_missing_entry_leaves_the_model_alone(saved_model, assert_untouched, tmp_path):
    saved_model(tmp_path / 'f')
    with h5py.File(tmp_path / 'f', 'a') as f:
        del f['z/W']
    assert_untouched(tmp_path / 'f', KeyError, "f: entry 'z/W' is not in the file")


def test_string_instead_of_numbers_leaves_the_model_alone(saved_model, assert_untouched, tmp_path):
    saved_model(tmp_path / 'f')
    with h5py.File(tmp_path / 'f', 'a') as f:
        del f['z/b']
        f['z/b'] = ['a', 'b', 'c']
    assert_untouched(tmp_path / 'f', TypeError, "f: entry 'z/b'")


def test_damaged_entry_leaves_the_model_alone(saved_model, assert_untouched, tmp_path):
    saved_model(tmp_path / 'f')
    with h5py.File(tmp_path / 'f', 'r') as f:
        chunk = f['z/W'].id.get_chunk_info(0)
    content = bytearray((tmp_path / 'f').read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b'\xff' * chunk.size
    (tmp_path / 'f').write_bytes(content)
    assert_untouched(tmp_path / 'f', OSError, "f: entry 'z/W' cannot be read")


@pytest.mark.parametrize('keep', [0, 100, 0.5, -1])
def test_truncated_file_is_one_error_that_names_it(saved_model, assert_untouched, tmp_path, keep):
    saved_model(tmp_path / 'f')
    content = (tmp_path / 'f').read_bytes()
    (tmp_path / 'f').write_bytes(content[: int(keep * len(content)) if keep == 0.5 else keep])
    assert_untouched(tmp_path / 'f', OSError, 'f is not an HDF5 file, or it is damaged')


def test_foreign_and_missing_files(lazy_model, tmp_path):
    np.savez(tmp_path / 'f.npz', x=1)
    with pytest.raises(OSError, match='f.npz is not an HDF5 file'):
        load_hdf5(tmp_path / 'f.npz', lazy_model())
    with pytest.raises(FileNotFoundError):
        load_hdf5(tmp_path / 'nothing', lazy_model())


@pytest.mark.host('no arrays of a device')
def test_interrupted_write_leaves_the_old_file(tmp_path):
    save_hdf5(tmp_path / 'f', Values(x=1))
    content = (tmp_path / 'f').read_bytes()
    with pytest.raises(TypeError):
        save_hdf5(tmp_path / 'f', Values(x=np.ones(1000), y={}))
    assert (tmp_path / 'f').read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ['f']


def test_file_objects_are_written_and_read(xp):
    f = io.BytesIO()
    save_hdf5(f, Values(x=xp.arange(5)))
    loaded = Values(x=None)
    load_hdf5(f, loaded)
    assert loaded.x.tolist() == [0, 1, 2, 3, 4]


def test_model_of_chainer_is_loaded(device):
    model = samples.make_model(chainlite).to_device(device)
    load_hdf5(HERE / 'chainer_7_8_1' / 'model.h5', model)
    expected = samples.make_model(chainlite).to_device(device)
    samples.fill(expected)
    assert_same(arrays_of(model), arrays_of(expected))
    assert not model.lazy.W.is_initialized


def test_optimizer_of_chainer_is_loaded(device):
    model = samples.make_model(chainlite, lazy=False).to_device(device)
    optimizer = samples.make_optimizer(chainlite, model, steps=0)
    load_hdf5(HERE / 'chainer_7_8_1' / 'optimizer.h5', optimizer)
    other = samples.make_model(chainlite, lazy=False).to_device(device)
    samples.fill(other)
    assert_same(arrays_of(optimizer), arrays_of(samples.make_optimizer(chainlite, other)))


@pytest.mark.host('no arrays of a device')
def test_without_h5py_there_is_one_line_with_the_command():
    program = (
        'import sys; sys.modules["h5py"] = None\n'
        'import chainlite.serializers as s\n'
        'assert not s.hdf5._available\n'
        'for f, n in ((s.save_hdf5, 2), (s.load_hdf5, 2), (s.HDF5Serializer, 1), (s.HDF5Deserializer, 1)):\n'
        '    try: f(*[None] * n)\n'
        '    except RuntimeError as e: print(e)\n'
    )
    out = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ['h5py is needed to save and load HDF5 files: pip install chainlite[hdf5]'] * 4


@pytest.mark.host('no arrays of a device')
def test_importing_the_package_does_not_import_h5py():
    program = 'import sys, chainlite.serializers; print("h5py" in sys.modules, "zipfile" in sys.modules)'
    out = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True).stdout
    assert out.split()[0] == 'False'
