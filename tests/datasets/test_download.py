"""The cache of downloaded and prepared data, and the collections that use it."""

import gzip
import hashlib
import http.server
import io
import multiprocessing
import os
import pickle
import tarfile
import threading
from pathlib import Path

import numpy
import pytest

from chainlite import dataset, datasets
from chainlite.datasets import _mnist_helper, cifar, fashion_mnist, kuzushiji_mnist, mnist, ptb, svhn
from chainlite.datasets._sources import Source

pytestmark = pytest.mark.host('downloads, reads and writes files')


@pytest.fixture
def root(tmp_path):
    before = dataset.get_dataset_root()
    dataset.set_dataset_root(str(tmp_path / 'root'))
    yield tmp_path / 'root'
    dataset.set_dataset_root(before)


@pytest.fixture
def server(tmp_path):
    """A web server for the files in a folder: (folder, URL, list of the paths asked for)."""
    folder = tmp_path / 'web'
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield folder, f'http://127.0.0.1:{web.server_port}/', asked
        web.shutdown()


def test_a_file_is_downloaded_once_into_chainers_place(root, server):
    folder, url, asked = server
    (folder / 'file').write_bytes(b'content')
    for _ in range(2):
        path = Path(dataset.cached_download(url + 'file'))
        assert path == root / '_dl_cache' / hashlib.md5((url + 'file').encode()).hexdigest()
        assert path.read_bytes() == b'content'
    assert asked == ['/file']


def test_a_failed_download_leaves_nothing(root, server):
    with pytest.raises(OSError):
        dataset.cached_download(server[1] + 'missing')
    assert [path.name for path in (root / '_dl_cache').iterdir()] == ['_dl_lock']


def test_a_prepared_file_is_made_once(root):
    made = []

    def create(path):
        made.append(path)
        numpy.savez(path, x=[1])  # which would add a suffix to a name without it
        return 'created'

    path = str(root / 'pfnet' / 'file.npz')
    assert dataset.cache_or_load_file(path, create, lambda path: 'loaded') == 'created'
    assert dataset.cache_or_load_file(path, create, lambda path: 'loaded') == 'loaded'
    assert len(made) == 1 and os.path.exists(path)
    assert os.listdir(root / 'pfnet') == ['file.npz']


def test_a_failed_preparation_leaves_nothing(root):
    def create(path):
        Path(path).write_text('half')
        raise ValueError('failed')

    with pytest.raises(ValueError, match='failed'):
        dataset.cache_or_load_file(str(root / 'file'), create, None)
    assert os.listdir(root) == ['_create_lock']


def create_slowly(path, log):
    import time

    with open(log, 'a') as f:
        f.write('x')
    time.sleep(0.3)
    Path(path).write_text('content')
    return 'content'


def prepare(root, log, results):
    dataset.set_dataset_root(root)
    results.put(
        dataset.cache_or_load_file(
            f'{root}/file', lambda path: create_slowly(path, log), lambda path: Path(path).read_text()
        )
    )


def test_of_many_processes_one_prepares(root, tmp_path):
    context = multiprocessing.get_context('spawn')
    results = context.Queue()
    processes = [context.Process(target=prepare, args=(str(root), str(tmp_path / 'log'), results)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=300) for _ in processes] == ['content'] * 3
    for process in processes:
        process.join()
    results.close()
    assert (tmp_path / 'log').read_text() == 'x'


def test_a_root_that_is_a_file_is_an_error(root):
    root.write_text('')
    with pytest.raises(RuntimeError, match='cannot create dataset directory'):
        dataset.cache_or_load_file(str(root / 'x'), None, None)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + numpy.array(array.shape, '>i4').tobytes() + array.tobytes()


@pytest.fixture
def digits(monkeypatch):
    """Small files in the format of MNIST, which the collections are made to expect: {name: content}."""
    r = numpy.random.RandomState(0)
    arrays = [r.randint(0, 256, (6, 28, 28)), r.randint(0, 10, 6), r.randint(0, 256, (3, 28, 28)), r.randint(0, 10, 3)]
    arrays[0][0, 0, 0] = 255
    arrays = [array.astype('u1') for array in arrays]
    contents = dict(zip(_mnist_helper.NAMES, map(idx, arrays)))
    md5s = [hashlib.md5(content).hexdigest() for content in contents.values()]
    for module in (mnist, fashion_mnist, kuzushiji_mnist):
        old = module._files[0][0]
        files = _mnist_helper.sources(old.dataset, md5s, ('http://127.0.0.1:9/',), old.retired)
        monkeypatch.setattr(module, '_files', files)
    return contents, arrays


def put(folder, contents, level=9):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(gzip.compress(content, level))


@pytest.mark.parametrize('folder', ['pfnet/chainer/mnist', 'mnist', '.'])
@pytest.mark.parametrize('level', [1, 9])
def test_raw_files_of_any_compression_are_taken_from_a_folder(root, digits, folder, level):
    contents, arrays = digits
    put(root / folder, contents, level)
    training, test = datasets.get_mnist()
    assert (len(training), len(test)) == (6, 3)
    x, t = training[0]
    assert x.dtype == numpy.float32 and t.dtype == numpy.int32
    numpy.testing.assert_allclose(x, arrays[0][0].ravel() / 255, rtol=1e-6)
    assert x.max() == 1 and t == arrays[1][0]
    # As Chainer prepares it.
    with numpy.load(root / 'pfnet/chainer/mnist/train.npz') as f:
        assert sorted(f.files) == ['x', 'y']
        assert f['x'].shape == (6, 784) and f['x'].dtype == f['y'].dtype == numpy.uint8


def test_uncompressed_raw_files_are_taken(root, digits):
    contents, _ = digits
    (root / 'mnist').mkdir(parents=True)
    for name, content in contents.items():
        (root / 'mnist' / name.removesuffix('.gz')).write_bytes(content)
    assert len(datasets.get_mnist()[0]) == 6


def test_downloads_of_chainer_are_taken(root, digits):
    contents, _ = digits
    (root / '_dl_cache').mkdir(parents=True)
    for name, content in contents.items():
        url = 'http://yann.lecun.com/exdb/mnist/' + name
        (root / '_dl_cache' / hashlib.md5(url.encode()).hexdigest()).write_bytes(gzip.compress(content))
    assert len(datasets.get_mnist()[0]) == 6


@pytest.mark.parametrize(
    'get, name', [(datasets.get_fashion_mnist, 'fashion-mnist'), (datasets.get_kuzushiji_mnist, 'kuzushiji_mnist')]
)
def test_the_other_collections_in_the_format(root, digits, get, name):
    put(root / 'pfnet/chainer' / name, digits[0])
    assert len(get()[1]) == 3
    assert (root / 'pfnet/chainer' / name / 'test.npz').exists()


def test_a_prepared_collection_of_chainer_is_taken(root):
    folder = root / 'pfnet/chainer/mnist'
    folder.mkdir(parents=True)
    for name in ('train.npz', 'test.npz'):
        numpy.savez_compressed(folder / name, x=numpy.zeros((2, 784), 'u1'), y=numpy.array([7, 8], 'u1'))
    training, test = datasets.get_mnist()
    assert [t for _, t in training] == [7, 8]


@pytest.mark.parametrize(
    'arguments, shape, dtype',
    [
        (dict(), (784,), 'f'),
        (dict(ndim=2), (28, 28), 'f'),
        (dict(ndim=3), (1, 28, 28), 'f'),
        (dict(ndim=3, rgb_format=True), (3, 28, 28), 'f'),
        (dict(ndim=3, scale=255.0, dtype='d'), (1, 28, 28), 'd'),
    ],
)
def test_forms_of_images(root, digits, arguments, shape, dtype):
    contents, arrays = digits
    put(root, contents)
    x, _ = datasets.get_mnist(**arguments)[0][0]
    assert x.shape == shape and x.dtype == dtype
    expected = numpy.broadcast_to(arrays[0][0].reshape((1, 28, 28) if len(shape) == 3 else shape), shape)
    numpy.testing.assert_allclose(x, expected * arguments.get('scale', 1.0) / 255, rtol=1e-6)
    images, _ = datasets.get_mnist(withlabel=False, **arguments)
    assert isinstance(images, numpy.ndarray)
    with pytest.raises(ValueError, match='invalid ndim for MNIST dataset'):
        datasets.get_mnist(ndim=4)


def test_offline_one_error_says_which_file_goes_where(root, digits):
    with pytest.raises(RuntimeError) as e:
        datasets.get_mnist()
    message = str(e.value)
    assert 'train-images-idx3-ubyte.gz could not be downloaded (http://127.0.0.1:9/' in message
    assert message.endswith(f'put it into the folder {root}/pfnet/chainer/mnist')
    assert message.count('put it') == 1
    put(root / 'pfnet/chainer/mnist', digits[0])  # which the user then does
    datasets.get_mnist()


def test_mirrors_are_tried_in_turn_and_contents_checked(root, server):
    folder, url, asked = server
    for name, content in (('bad', b'something else'), ('good', b'content')):
        (folder / name).mkdir()
        (folder / name / 'file').write_bytes(content)
    md5 = hashlib.md5(b'content').hexdigest()
    source = Source('name', 'file', md5, tuple(url + name for name in ('missing/', 'bad/', 'good/')))
    assert source.read() == b'content'
    assert asked == ['/missing/file', '/bad/file', '/good/file']
    assert source.read() == b'content'
    assert len(asked) == 3
    with pytest.raises(RuntimeError, match='has another content'):
        Source('name', 'file', md5, (url + 'bad/',)).read()


@pytest.mark.parametrize('ranges', [True, False])
def test_a_file_that_was_cut_off_is_continued(root, capsys, ranges):
    content, asked = gzip.compress(os.urandom(50000)), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get('Range'))
            start = int(asked[-1][6:-1]) if asked[-1] and ranges else 0
            self.send_response(206 if start else 200)
            self.send_header('Content-Length', str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : 20000 if len(asked) == 1 else None])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{web.server_port}/'
        with pytest.raises(OSError, match='retrieval incomplete: got only 20000'):
            dataset.cached_download(url + 'unknown')
        assert [path.name for path in (root / '_dl_cache').iterdir()] == ['_dl_lock']
        (root / '_dl_cache' / '_dl_lock').unlink()
        asked.clear()
        source = Source('name', 'file', hashlib.md5(content).hexdigest(), (url,))
        with pytest.raises(RuntimeError, match=f'the connection ended early; 20000 bytes of {len(content)} are kept'):
            source.read()
        assert source.read() == gzip.decompress(content)
        assert asked == [None, 'bytes=20000-']
        assert source.read() == gzip.decompress(content) and len(asked) == 2
        web.shutdown()
    assert [path.name for path in (root / '_dl_cache').iterdir()] == [hashlib.md5(f'{url}file'.encode()).hexdigest()]
    assert f'Downloading from {url}file...' in (told := capsys.readouterr().err)
    assert '  100 % of 0 MB' in told


def test_a_broken_file_is_named(root, digits):
    contents, _ = digits
    put(root / 'mnist', contents)
    path = root / 'mnist' / 'train-labels-idx1-ubyte.gz'
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RuntimeError, match=f'{path} is broken'):
        datasets.get_mnist()


@pytest.mark.skipif(os.getuid() == 0, reason='root may write anywhere')
def test_a_read_only_collection_is_prepared_in_memory(root, digits):
    put(root, digits[0])
    root.chmod(0o500)
    try:
        assert len(datasets.get_mnist()[0]) == 6
    finally:
        root.chmod(0o700)


@pytest.mark.parametrize(
    'get, source, members, labels',
    [
        (
            datasets.get_cifar10,
            '_cifar10',
            [f'cifar-10-batches-py/{name}' for name in [*(f'data_batch_{i}' for i in range(1, 6)), 'test_batch']],
            'labels',
        ),
        (datasets.get_cifar100, '_cifar100', ['cifar-100-python/train', 'cifar-100-python/test'], 'fine_labels'),
    ],
)
def test_cifar(root, monkeypatch, get, source, members, labels):
    r = numpy.random.RandomState(0)
    archive = io.BytesIO()
    images = []
    with tarfile.open(fileobj=archive, mode='w:gz') as f:
        for member in members:
            images.append(r.randint(0, 256, (2, 3072)).astype('u1'))
            content = pickle.dumps({'data': images[-1], labels: [3, 7]}, protocol=2)
            info = tarfile.TarInfo(member)
            info.size = len(content)
            f.addfile(info, io.BytesIO(content))
    name = getattr(cifar, source).name
    folder = root / 'pfnet/chainer/cifar'
    folder.mkdir(parents=True)
    (folder / name).write_bytes(archive.getvalue())
    md5 = hashlib.md5(archive.getvalue()).hexdigest()
    monkeypatch.setattr(cifar, source, Source('cifar', name, md5, ()))
    for _ in range(2):  # prepared, then loaded
        training, test = get(scale=255.0)
        assert (len(training), len(test)) == (2 * (len(members) - 1), 2)
        numpy.testing.assert_array_equal(training[2 * len(members) - 3][0], images[-2][1].reshape(3, 32, 32))
        x, t = test[1]
        numpy.testing.assert_array_equal(x, images[-1][1].reshape(3, 32, 32))
        assert t == 7 and t.dtype == numpy.int32
    assert get(ndim=1, withlabel=False)[1].shape == (2, 3072)
    with pytest.raises(ValueError, match='invalid ndim for CIFAR dataset'):
        get(ndim=2)
    with numpy.load(folder / name.replace('-python.tar.gz', '.npz')) as f:
        assert set(f.files) == {'train_x', 'train_y', 'test_x', 'test_y'}


def test_words(root, monkeypatch):
    # Numbers by Chainer 7.8.1.
    folder = root / 'pfnet/chainer/ptb'
    folder.mkdir(parents=True)
    for part, text in (('train', b' a b c \n b <unk> N \n'), ('valid', b' a N \n'), ('test', b' a N \n')):
        (folder / f'ptb.{part}.txt').write_bytes(text)
        monkeypatch.setitem(ptb._md5s, part, hashlib.md5(text).hexdigest())
    for _ in range(2):
        training, validation, _ = datasets.get_ptb_words()
        assert training.tolist() == [0, 1, 2, 3, 1, 4, 5, 3] and training.dtype == numpy.int32
        assert validation.tolist() == [0, 5, 3]
    assert datasets.get_ptb_words_vocabulary() == {'a': 0, 'b': 1, 'c': 2, '<eos>': 3, '<unk>': 4, 'N': 5}


def test_names_of_classes():
    assert datasets.get_fashion_mnist_labels()[-1] == 'Ankle boot'
    assert datasets.get_kuzushiji_mnist_labels()[3] == ('tsu', 'つ')


@pytest.mark.skipif('CHAINLITE_TEST_DATA' not in os.environ, reason='needs the MNIST files in CHAINLITE_TEST_DATA')
def test_mnist_itself(root):
    root.mkdir()
    (root / 'mnist').symlink_to(os.path.join(os.environ['CHAINLITE_TEST_DATA'], 'mnist'))
    training, test = datasets.get_mnist()
    assert (len(training), len(test)) == (60000, 10000)
    assert [int(t) for _, t in training[:5]] == [5, 0, 4, 1, 9]
    assert training[5][0].sum() == pytest.approx(116.08235, rel=1e-5)


def test_house_numbers(root, monkeypatch):
    """Sums and labels by Chainer 7.8.1, of the same files."""
    scipy_io = pytest.importorskip('scipy.io', reason='SciPy, which reads them, is not installed')
    folder = root / 'pfnet/chainer/svhn'
    folder.mkdir(parents=True)
    r = numpy.random.RandomState(0)
    for part, n in (('train', 12), ('test', 5), ('extra', 3)):
        path = folder / f'{part}_32x32.mat'
        pictures, labels = r.randint(0, 256, (32, 32, 3, n)).astype('u1'), r.randint(1, 11, (n, 1)).astype('u1')
        scipy_io.savemat(path, {'X': pictures, 'y': labels})
        monkeypatch.setitem(svhn._md5s, part, hashlib.md5(path.read_bytes()).hexdigest())
    for _ in range(2):  # prepared, then loaded
        parts = datasets.get_svhn(scale=255.0, dtype='d', label_dtype='int64', add_extra=True)
        assert [sum(x.sum() for x, _ in part) for part in parts] == [4710784, 1972017, 1182982]
        assert [[int(t) for _, t in part[:5]] for part in parts] == [[5, 4, 6, 1, 2], [1, 9, 7, 7, 2], [6, 7, 6]]
        image, label = parts[0][0]
        assert image.shape == (3, 32, 32) and image.dtype == numpy.float64 and label.dtype == numpy.int64
    training, test = datasets.get_svhn(withlabel=False)
    assert (training.shape, test.shape) == ((12, 3, 32, 32), (5, 3, 32, 32))
    assert training.sum(dtype='d') == pytest.approx(4710784 / 255, rel=1e-6)
    assert sorted(path.name for path in folder.glob('*.npz')) == ['extra.npz', 'test.npz', 'train.npz']
    for path in folder.glob('test*'):
        path.unlink()
    monkeypatch.setattr(svhn, 'Source', lambda *args: Source(*args[:3], ()))  # without an address
    with pytest.raises(RuntimeError, match=f'test_32x32.mat could not be downloaded .* into the folder {folder}'):
        datasets.get_svhn()
