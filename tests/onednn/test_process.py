"""What concerns the process: finding the library, threads, forks, settings that are made once."""

import os
import shutil
import subprocess
import sys
import threading

import forking
import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite import using_config
from chainlite.backends import intel64
from chainlite.backends.cpu.product import product
from chainlite.backends.onednn import _library, _threads

pytestmark = pytest.mark.host('oneDNN is of the CPU')


def run(program, **environment):
    """Runs a program in a process of its own; returns what it printed, as words."""
    environment = {**os.environ, 'CHAINLITE_ONEDNN_CACHE': '1024', **environment}
    done = subprocess.run(
        [sys.executable, '-c', program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300
    )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode().split()


@pytest.fixture
def restore_threads(library):
    n = chainlite.get_num_threads()
    yield
    chainlite.set_num_threads(n)


def images(seed=0, shape=(8, 16, 14, 14)):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape).astype('f'), rng.standard_normal((24, shape[1], 3, 3)).astype('f')


def gradients(x, W):
    x, W = chainlite.Variable(x), chainlite.Parameter(W)
    W.cleargrad()
    y = F.max_pooling_2d(F.relu(F.convolution_2d(x, W)), 2)
    y.grad = np.ones(y.shape, 'f')
    y.backward()
    return y.array, x.grad, W.grad


# ---- where the library comes from -----------------------------------------------------------------------------------

LOADED = """
import chainlite, numpy as np
import chainlite.links, chainlite.optimizers, chainlite.training
def loaded():
    return 'libdnnl' in open('/proc/self/maps').read()
before = loaded()
y = chainlite.functions.convolution_2d(np.ones((2, 3, 8, 8), 'f'), np.ones((4, 3, 3, 3), 'f'))
print(before, loaded(), y.array.sum())
"""


@pytest.mark.skipif(not os.path.exists('/proc/self/maps'), reason='reads /proc')
def test_the_library_is_loaded_on_use_and_not_before(library):
    total = str(float(2 * 4 * 36 * 27))
    assert run(LOADED) == ['False', 'True', total]
    assert run(LOADED, CHAINLITE_ONEDNN='') == ['False', 'False', total]
    assert run(LOADED, CHAINER_USE_IDEEP='never') == ['False', 'False', total]


REASON = """
from chainlite.backends import intel64
from chainlite.backends.onednn._library import unavailable_because
print(intel64.is_ideep_available(), unavailable_because())
"""


def fake_library(folder, major, runtime):
    """A library that says it is oneDNN of another version."""
    if shutil.which('cc') is None:
        pytest.skip('needs a C compiler')
    (folder / 'fake.c').write_text(
        'struct version { int major, minor, patch; const char *hash; unsigned cpu, gpu; };\n'
        f'static struct version v = {{{major}, 1, 4, "", {runtime}, 0}};\n'
        'const struct version *dnnl_version(void) { return &v; }\n'
    )
    path = folder / 'libfake.so'
    subprocess.run(['cc', '-shared', '-fPIC', '-o', path, folder / 'fake.c'], check=True)
    return str(path)


@pytest.mark.parametrize(
    'major, runtime, reason',
    [(2, 2, 'is oneDNN 2.1.4, and version 3 is needed'), (3, 512, 'computes with SYCL'), (4, 1, 'is oneDNN 4.1.4')],
)
def test_a_library_of_another_kind_is_refused(tmp_path, major, runtime, reason):
    available, *text = run(REASON, CHAINLITE_ONEDNN=fake_library(tmp_path, major, runtime))
    assert available == 'False' and reason in ' '.join(text)


@pytest.mark.parametrize('path', ['/nowhere/libdnnl.so', sys.executable])
def test_a_file_that_is_no_library_is_refused(path):
    available, *text = run(REASON, CHAINLITE_ONEDNN=path)
    assert available == 'False' and 'oneDNN cannot be used' in ' '.join(text)


def test_the_setting_switches_it(library, monkeypatch):
    x, W = images()
    count = _threads._thread.cached.cache_info
    before = count()
    with using_config('use_ideep', 'never'):
        expected = gradients(x, W)
    assert count() == before
    for setting in ('auto', 'always'):
        with using_config('use_ideep', setting):
            for a, e in zip(gradients(x, W), expected):
                np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-4)
    assert count() != before
    with using_config('use_ideep', 'sometimes'), pytest.raises(ValueError, match='invalid use_ideep configuration'):
        gradients(x, W)
    monkeypatch.setattr(_library, 'library', lambda: None)
    with using_config('use_ideep', 'always'), pytest.raises(RuntimeError, match='iDeep is not available'):
        gradients(x, W)
    np.testing.assert_array_equal(gradients(x, W)[0], expected[0])  # 'auto' does without


def test_the_device_holds_ndarrays(library):
    device = chainlite.get_device('@intel64')
    link = chainlite.links.Convolution2D(3, 4, 3)
    link.to_device(device)
    x = device.send(np.ones((2, 3, 8, 8), 'f'))
    assert type(x) is type(link.W.array) is np.ndarray and link.device == device
    assert link(x).shape == (2, 4, 6, 6)
    variable = chainlite.Variable(x)
    variable.to_intel64()
    assert variable.device == device
    assert intel64.should_use_ideep('>=auto') and not intel64.should_use_ideep('==always')


# ---- threads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('threads', [1, 3])
def test_reruns_are_equal_bit_by_bit(restore_threads, threads):
    chainlite.set_num_threads(threads)
    x, W = images(shape=(8, 16, 30, 30))
    first = gradients(x, W)
    for forget in (False, True):
        if forget:
            _threads._thread.cached.cache_clear()
        for a, b in zip(gradients(x, W), first):
            np.testing.assert_array_equal(a, b)
    a, b = np.random.default_rng(0).standard_normal((2, 300, 300)).astype('f')
    np.testing.assert_array_equal(product(a, b), product(a, b))


def test_the_number_of_threads_can_change(restore_threads):
    x, W = images()
    results = []
    for n in (1, 4, 2, 1):
        chainlite.set_num_threads(n)
        assert chainlite.get_num_threads() == n == _library.library().omp_get_max_threads()
        results.append(gradients(x, W))
    for result in results[1:]:
        for a, b in zip(result, results[0]):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    for bad in (0, -1):
        with pytest.raises(ValueError, match='at least 1'):
            chainlite.set_num_threads(bad)


def test_the_number_holds_in_every_thread(restore_threads):
    chainlite.set_num_threads(3)
    seen = []

    def work():
        gradients(*images())
        seen.append(_library.library().omp_get_max_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [3]


WITHOUT = """
import chainlite
from chainlite.backends.onednn import _library
chainlite.set_num_threads(2)
print(chainlite.get_num_threads(), _library.get_blas_threads(), 'libdnnl' in open('/proc/self/maps').read())
"""


@pytest.mark.skipif(not os.path.exists('/proc/self/maps'), reason='reads /proc')
@pytest.mark.skipif(_library.get_blas_threads() is None, reason="NumPy's OpenBLAS is not its own")
def test_without_the_library_the_number_is_that_of_numpys_products(library):
    assert run(WITHOUT, CHAINER_USE_IDEEP='never') == ['2', '2', 'False']
    assert run(WITHOUT, CHAINLITE_ONEDNN='') == ['2', '2', 'False']
    assert run(WITHOUT) == ['2', '1', 'True']


def test_threads_do_not_disturb_each_other(restore_threads):
    chainlite.set_num_threads(2)
    inputs = [images(k) for k in range(4)]
    expected = [gradients(*i) for i in inputs]
    wrong = []

    def work(k):
        for _ in range(30):
            for a, e in zip(gradients(*inputs[k]), expected[k]):
                if not np.array_equal(a, e):
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


BOUNDED = """
import chainlite, numpy as np
from chainlite.backends.onednn import _threads
for k in range(4, 31):
    chainlite.functions.convolution_2d(np.ones((1, 3, k, k), 'f'), np.ones((4, 3, 3, 3), 'f'))
print(_threads._thread.cached.cache_info().currsize, chainlite.set_num_threads(2))
"""


def test_the_number_of_operations_kept_is_bounded(library):
    assert run(BOUNDED, CHAINLITE_ONEDNN_CACHE='5') == ['5', 'None']
    assert run(BOUNDED) == ['27', 'None']


# ---- forks ----------------------------------------------------------------------------------------------------------

FORK = """
import os, numpy as np, chainlite, chainlite.functions as F
chainlite.set_num_threads(4)
rng = np.random.default_rng(0)
x, W = rng.standard_normal((8, 16, 32, 32)).astype('f'), rng.standard_normal((16, 16, 3, 3)).astype('f')
a = rng.standard_normal((400, 400)).astype('f')
def compute():
    return F.convolution_2d(x, W).array, F.matmul(a, a).array
expected = compute()
child = os.fork()
if child == 0:
    ok = all(np.allclose(y, e, rtol=1e-4, atol=1e-3) for y, e in zip(compute(), expected))
    try:
        chainlite.set_num_threads(2)
    except RuntimeError:
        pass
    else:
        ok = False
    chainlite.set_num_threads(1)
    os._exit(0 if ok and chainlite.get_num_threads() == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), chainlite.get_num_threads())
assert all(np.array_equal(y, e) for y, e in zip(compute(), expected))
"""


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='there are no forks')
def test_a_forked_child_computes_after_its_parent_has(library):
    assert forking.output_of(FORK) == [b'0', b'4']


# ---- settings of the process ----------------------------------------------------------------------------------------

BLAS = """
import numpy as np, chainlite
from chainlite.backends.onednn import _library
_library.set_blas_threads(2)
chainlite.functions.convolution_2d(np.ones((1, 1, 4, 4), 'f'), np.ones((1, 1, 3, 3), 'f'))
print(_library.get_blas_threads())
"""


@pytest.mark.skipif(_library.get_blas_threads() is None, reason="NumPy's OpenBLAS is not its own")
def test_openblas_is_left_one_thread(library):
    assert run(BLAS) == ['1']
    assert run(BLAS, CHAINLITE_KEEP_BLAS_THREADS='1') == ['2']
    assert run(BLAS, CHAINLITE_ONEDNN='0') == ['2']


def test_openblas_keeps_its_threads_where_that_is_asked_for(monkeypatch):
    called = []
    monkeypatch.setattr(_library, 'set_blas_threads', called.append)
    _library._prepare_process()
    assert called == [1]
    monkeypatch.setenv('CHAINLITE_KEEP_BLAS_THREADS', '1')
    _library._prepare_process()
    assert called == [1]


FAULTS = """
import resource, numpy as np, chainlite
x = chainlite.Variable(np.zeros((12 << 20,), 'f'))
def faults():
    y = chainlite.functions.sigmoid(x)
    y.grad = x.array
    y.backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
counts = [faults() for _ in range(8)]
print(min(b - a for a, b in zip(counts[1:], counts[2:])))  # others may cause some, as the kernel moves pages about
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason="glibc's malloc")
def test_memory_of_large_arrays_is_not_mapped_anew_in_every_step(library):
    (declined,) = run(FAULTS, CHAINLITE_KEEP_MALLOC='1')
    for environment in ({}, {'CHAINER_USE_IDEEP': 'never'}, {'CHAINLITE_ONEDNN': ''}):
        (kept,) = run(FAULTS, **environment)
        assert int(kept) < 20 < int(declined)  # pages may have 2 MB


HUGE = """
import pathlib, numpy as np, chainlite
chainlite.functions.convolution_2d(np.ones((1, 1, 4, 4), 'f'), np.ones((1, 1, 3, 3), 'f'))
x = [np.ones(700_000, 'f') for _ in range(3)][-1]  # NumPy itself asks for huge pages for 4 MB
for line in pathlib.Path('/proc/self/smaps').read_text().splitlines():
    if line.split('-')[0].isalnum() and '-' in line.split()[0]:
        begin, end = [int(n, 16) for n in line.split()[0].split('-')]
    if line.startswith('VmFlags') and begin <= x.ctypes.data < end:
        print('hg' in line.split())
"""


@pytest.mark.skipif(not os.path.exists('/sys/kernel/mm/transparent_hugepage'), reason='huge pages of Linux')
def test_arrays_lie_in_huge_pages(library):
    assert run(HUGE) == ['True']
    assert run(HUGE, CHAINLITE_KEEP_MALLOC='1') == ['False']


def test_threads_that_begin_together_load_one_library(library):
    program = """
import threading
import numpy as np
import chainlite.functions as F
x, together, computed = np.ones((2, 4, 6, 6), 'f'), threading.Barrier(8), []

def compute():
    together.wait()
    for _ in range(20):
        y = F.max_pooling_2d(x, 2)
    computed.append(y)

threads = [threading.Thread(target=compute) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(computed))
"""
    for _ in range(3):
        assert run(program) == ['8']


def test_threads_are_told_not_to_spin_for_long_unless_the_user_says_how(monkeypatch):
    for given, expected in (({}, '10000'), ({'GOMP_SPINCOUNT': '7'}, '7'), ({'OMP_WAIT_POLICY': 'active'}, None)):
        monkeypatch.delenv('GOMP_SPINCOUNT', raising=False)
        monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        _library._limit_spinning()
        assert os.environ.get('GOMP_SPINCOUNT') == expected
