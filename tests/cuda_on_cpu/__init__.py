"""The stand-in GPU: the CuPy wheel, unmodified, on the CPU.  See README.md.

    import cuda_on_cpu                 # with CHAINLITE_CUDA_ON_CPU=1 in the environment
    cuda_on_cpu.install()
    import cupy

`install` makes the next `import cupy` run on it; it does nothing unless the variable is set.  The functions below steer
it while it runs.
"""

import contextlib
import importlib.util
import os
import sys

VARIABLE = 'CHAINLITE_CUDA_ON_CPU'
ORDERS = ('forward', 'reverse', 'shuffled')


def enabled():
    return os.environ.get(VARIABLE, '') not in ('', '0')


def install():
    """Lets `import cupy` load the stand-in first, if the environment variable asks for it."""
    if enabled() and not any(isinstance(finder, _Finder) for finder in sys.meta_path) and 'cupy' not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Comes before the import of CuPy, so that a program that does not use it does not pay for it, and before that of
    PyTorch, whose CUDA build would load NVIDIA's libraries."""

    def find_spec(self, name, path=None, target=None):
        if name not in ('cupy', 'torch'):
            return None
        from cuda_on_cpu import start

        if name == 'torch':
            start.load_libraries()
            return None
        start.before_cupy()  # if that fails, so does the next import of CuPy
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec('cupy')
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                start.after_cupy()

            spec.loader.exec_module = exec_module
        return spec


def _engine():
    from cuda_on_cpu import start

    return start.engine()


@contextlib.contextmanager
def thread_order(order, seed=1):
    """Runs the threads of kernels, and their blocks, forward, in reverse, or shuffled (anew at each barrier)."""
    _engine().coc_set_order(ORDERS.index(order), seed)
    try:
        yield
    finally:
        _engine().coc_set_order(_default_order(), 1)


def _default_order():
    return ORDERS.index(os.environ.get('CUDA_ON_CPU_ORDER', 'forward'))


@contextlib.contextmanager
def checks(on=True):
    """Compiles and runs kernels with the race detector, which sees every access; those made before do not have it."""
    from cuda_on_cpu import build

    before = build.checking
    build.checking = on
    _engine().coc_set_checking(on)
    try:
        yield
    finally:
        build.checking = before
        _engine().coc_set_checking(before)


@contextlib.contextmanager
def null_driver():
    """Skips kernels, cuBLAS and copies on the device; gives a dictionary, filled at the end: launches of each name.

    For budgets: of launches, and of the time that the host takes for a step.
    """
    counts = {}
    _engine().coc_take_counts()
    _engine().coc_set_null_driver(1)
    try:
        yield counts
    finally:
        _engine().coc_set_null_driver(0)
        counts.update(take_counts())


def take_counts():
    """How often each kernel, and 'cublas', was launched since the last call."""
    counts = {}
    for line in _engine().coc_take_counts().decode().splitlines():
        name, number = line.rsplit(' ', 1)
        counts[name] = counts.get(name, 0) + int(number)  # kernels of several modules may have one name
    return counts


@contextlib.contextmanager
def lazy_default_stream():
    """Lets the work of the default stream wait for a synchronization, too."""
    _engine().coc_set_lazy_default(1)
    try:
        yield
    finally:
        _engine().coc_set_lazy_default(0)


@contextlib.contextmanager
def sticky_errors():
    """After an illegal access all calls fail, as on a device, until the end of the block."""
    _engine().coc_set_sticky(1)
    try:
        yield
    finally:
        _engine().coc_set_sticky(0)
