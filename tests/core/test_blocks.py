"""Long formulas on NumPy, in several threads: what every thread computes is what one thread computes."""

import subprocess
import sys
import threading

import forking
import numpy as np
import pytest

import chainlite
from chainlite import using_config
from chainlite.backends import _blocks, _equations
from chainlite.backends._equations import equations, exp, where
from chainlite.backends._layout import as_last
from chainlite.backends.cpu import accumulation

pytestmark = pytest.mark.host('threads of the CPU')


@equations
def _formula(param, grad, v, *, rate):
    v = where(grad > 0, exp(-grad), v - rate * grad)
    return param * v + grad, v


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Sets the number of threads, in which short arrays are computed, too."""
    monkeypatch.setattr(_equations, 'LONG', 1)
    monkeypatch.setattr(_equations, 'WORTH_THREADS', 1)
    monkeypatch.setattr(_equations, 'BLOCK', 700)
    n = chainlite.get_num_threads()
    with using_config('use_ideep', 'never'):
        yield chainlite.set_num_threads
        chainlite.set_num_threads(n)
    chainlite.set_num_threads(n)


def rows(n=3, size=10_000):
    rng = np.random.default_rng(0)
    return [tuple(rng.standard_normal((3, size - k)).astype('f')) for k in range(n)]


def computed():
    batch = rows()
    _formula.run_each(batch, (0, 2), [0.1])
    return [*_formula(*rows(1)[0], rate=0.1), *[a for row in batch for a in row]]


def test_the_number_of_threads_changes_no_bit(threads):
    threads(1)
    expected = computed()
    for n in (2, 5, 3):
        threads(n)
        for a, e in zip(computed(), expected, strict=True):
            np.testing.assert_array_equal(a, e)


def test_several_threads_do_it(threads, monkeypatch):
    together, seen = threading.Barrier(3, timeout=30), []

    def program(*_):
        if len(seen) < 3:  # the first three parts are computed at the same time
            seen.append(threading.get_ident())
            together.wait()

    threads(3)
    monkeypatch.setattr(_formula, 'program_into', lambda *_: program)
    _formula.run_each(rows(), (0, 2), [0.1])
    assert len(set(seen)) == 3


@pytest.mark.parametrize('shape', [(0,), (0, 3), ()])
def test_arrays_without_elements_or_axes(threads, shape):
    threads(3)
    x = np.ones(shape, 'f')
    y, v = _formula(x, x, x, rate=0.5)
    assert y.shape == v.shape == shape
    np.testing.assert_allclose(v, np.exp(-x), rtol=1e-6)


def test_strided_arrays_are_written_in_place(threads):
    threads(3)
    expected = rows(1)[0]
    whole = np.zeros((3, 20_000), 'f')
    strided = whole[:, ::2]
    strided[...] = expected
    _formula.run_each([tuple(strided)], (0, 2), [0.1])
    _formula.run_each([expected], (0, 2), [0.1])
    np.testing.assert_array_equal(strided, expected)
    assert not whole[:, 1::2].any()


@pytest.mark.parametrize('layouts', ['last last', 'last first', 'first first'])
@pytest.mark.parametrize('use_ideep', ['never', 'auto'])
def test_sums_in_place(threads, monkeypatch, layouts, use_ideep):
    monkeypatch.setattr(accumulation, '_WORTH', 1)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 4, 6, 5, 3)).astype('f')
    expected = x + y
    x, y = [as_last(a) if layout == 'last' else a for a, layout in zip((x, y), layouts.split())]
    for n in (1, 3):
        threads(n)
        z = x.copy(order='K')
        with using_config('use_ideep', use_ideep):
            accumulation.add_into(z, y)
        np.testing.assert_array_equal(z, expected)
        assert z.strides == x.strides


def test_an_error_is_raised_when_all_have_ended(threads):
    threads(4)
    done = []

    def work(part):
        if part == 7:
            raise ZeroDivisionError
        done.append(part)

    with pytest.raises(ZeroDivisionError):
        _blocks.each(work, list(range(100)))
    assert 7 not in done and len(set(done)) == len(done)
    done.clear()
    _blocks.each(work, [1, 2, 3])
    assert sorted(done) == [1, 2, 3]


def test_numpys_treatment_of_errors_holds_in_every_thread(threads):
    threads(4)
    zero, ready = np.zeros(10), threading.Barrier(4, timeout=30)

    def work(part):
        ready.wait()
        zero / zero

    with np.errstate(invalid='ignore'):
        _blocks.each(work, [0, 1, 2, 3])
    with np.errstate(invalid='raise'), pytest.raises(FloatingPointError):
        _blocks.each(work, [0, 1, 2, 3])
    called = []
    with np.errstate(invalid='call', call=lambda *error: called.append(error)):
        _blocks.each(work, [0, 1, 2, 3])
    assert len(called) == 4


def test_all_threads_have_ended_when_several_raise(threads):
    threads(4)
    ready, release, ended = threading.Barrier(4, timeout=30), threading.Event(), []

    def work(part):
        ready.wait()
        if part < 3:
            raise ZeroDivisionError
        release.wait(0.2)
        ended.append(part)

    with pytest.raises(ZeroDivisionError):
        _blocks.each(work, [0, 1, 2, 3])
    assert ended == [3]


ENDING = """
import threading
import chainlite
from chainlite.backends import _blocks

def late():
    threading.main_thread().join()
    done = []
    _blocks.each(done.append, list(range(5)))
    print(sorted(done))

chainlite.set_num_threads(3)
threading.Thread(target=late).start()
"""


def test_a_thread_that_outlives_the_main_thread_computes():
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', ENDING], capture_output=True, text=True, timeout=300)
    assert done.stdout == '[0, 1, 2, 3, 4]\n', done.stderr


def test_nobody_waits_for_threads_that_are_busy(threads):
    threads(3)
    release = threading.Event()
    busy = [_blocks._pool(3).submit(release.wait, 60) for _ in range(3)]
    done = []
    _blocks.each(done.append, list(range(20)))
    assert sorted(done) == list(range(20))
    assert not any(b.done() for b in busy)
    release.set()
    assert all(b.result() for b in busy)


def test_threads_of_the_program_do_not_disturb_each_other(threads):
    threads(2)
    expected, wrong = computed(), []

    def work():
        with using_config('use_ideep', 'never'):
            for _ in range(5):
                wrong.extend([a for a, e in zip(computed(), expected) if not np.array_equal(a, e)])

    workers = [threading.Thread(target=work) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert wrong == []


FORK = """
import os, sys, numpy as np, chainlite
from chainlite.backends import _equations
from chainlite.backends._equations import equations, exp
_equations.WORTH_THREADS = _equations.LONG = 1
_equations.BLOCK = 1000
chainlite.config.use_ideep = 'never'
chainlite.set_num_threads(3)

@equations
def formula(x, y):
    return exp(x) * y + x

x = np.linspace(0, 1, 50_000)
expected = formula(x, x)
child = os.fork()
if child == 0:
    ok = np.array_equal(formula(x, x), expected)
    chainlite.set_num_threads(2)
    os._exit(0 if ok and np.array_equal(formula(x, x), expected) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 'libdnnl' in open('/proc/self/maps').read())
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='forks, and reads /proc')
def test_a_forked_child_computes_after_its_parent_has():
    assert forking.output_of(FORK) == [b'0', b'False']
