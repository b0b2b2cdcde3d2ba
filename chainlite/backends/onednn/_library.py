"""oneDNN's C library: where it is found, how it is called, and what has to be set so that it works well with NumPy.

It is looked for on first use, never at import time, in this order:

1. the file that the environment variable CHAINLITE_ONEDNN names; an empty value or 0 means none at all;
2. the wheel of the extra `onednn`;
3. the system's libdnnl.so.3.

Version 3 on OpenMP, or without threads, is accepted. Where there is none, `unavailable_because()` says why and NumPy
does the work.

Three settings are made once for the whole process when the library is loaded, that of malloc also where it is not.
Each can be declined:

- NumPy's own OpenBLAS is set to one thread (CHAINLITE_KEEP_BLAS_THREADS=1 declines). Its threads and OpenMP's wait for
  work by spinning, and take the processors from each other: products that alternate between the two become ten times
  slower. Matrix products of float32 go to oneDNN instead.
- malloc keeps memory that is freed (CHAINLITE_KEEP_MALLOC=1 declines). By default glibc gives large blocks back to the
  system at once, and every new array has to be mapped and cleared again, page by page: a ResNet-20 took twice the time.
  Its next 256 MB lie in huge pages, where the system gives them to who asks: NumPy asks for arrays of 4 MB and more,
  and on a virtual machine the others cost small networks a twentieth of their time.
- OpenMP's threads spin for a shorter time before they sleep (GOMP_SPINCOUNT or OMP_WAIT_POLICY in the environment
  decline). Where other programs want the processors too, a thread that spins keeps from working the one that it waits
  for: on such a machine a small convolutional step took 500 ms with the default and 40 ms with this.
"""

import ctypes
import functools
import os
import sys
import threading
from ctypes import POINTER, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from pathlib import Path

import numpy as np

WHEEL = 'onednn-cpu-gomp'
SONAME = 'libdnnl.so.3'
_RUNTIMES = {1: 'sequential', 2: 'OpenMP', 4: 'TBB', 8: 'a thread pool', 256: 'OpenCL', 512: 'SYCL'}
_AVX512_BF16 = 0x80  # of the sets of instructions
_STATUS = (
    'success',
    'out of memory',
    'invalid arguments',
    'unimplemented',
    'last implementation reached',
    'runtime error',
    'not required',
)


class OneDNNError(RuntimeError):
    """A function of oneDNN failed."""


class _Version(ctypes.Structure):
    _fields_ = [
        ('major', c_int),
        ('minor', c_int),
        ('patch', c_int),
        ('hash', c_char_p),
        ('cpu_runtime', c_uint),
        ('gpu_runtime', c_uint),
    ]


class Library:
    """The loaded library.

    Attributes:
        path: of the file, or the name that the system's loader found it by.
        version: tuple of three ints.
        engine: handle of the CPU.
        multiplies_bfloat16: whether the processor has instructions for that.
        call: function (name, *arguments): calls `dnnl_name` and raises OneDNNError unless it succeeds.
        set_data_handle, execute, sgemm: the three functions that are called all the time.
        compare: C's `memcmp`.
        omp_set_num_threads, omp_get_max_threads: of the library's OpenMP, or None if it computes in one thread.
    """

    def __init__(self, path):
        self.path = str(path)
        _limit_spinning()
        self._functions = functions = ctypes.CDLL(self.path)
        functions.dnnl_version.restype = POINTER(_Version)
        version = functions.dnnl_version().contents
        self.version = version.major, version.minor, version.patch
        if version.major != 3:
            raise OSError(f'{path} is oneDNN {".".join(map(str, self.version))}, and version 3 is needed')
        if version.cpu_runtime not in (1, 2):
            runtime = _RUNTIMES.get(version.cpu_runtime, f'runtime {version.cpu_runtime}')
            raise OSError(f'{path} computes with {runtime}, and OpenMP is needed')
        threaded = version.cpu_runtime == 2
        self.omp_set_num_threads = functions.omp_set_num_threads if threaded else None
        self.omp_get_max_threads = functions.omp_get_max_threads if threaded else None
        functions.dnnl_primitive_desc_query_md.restype = c_void_p
        functions.dnnl_primitive_desc_query_md.argtypes = c_void_p, c_int, c_int
        functions.dnnl_memory_desc_get_size.restype = c_size_t
        functions.dnnl_memory_desc_get_size.argtypes = (c_void_p,)
        functions.dnnl_memory_desc_equal.argtypes = c_void_p, c_void_p
        self.memory_desc_equal = functions.dnnl_memory_desc_equal
        self.memory_desc_size = functions.dnnl_memory_desc_get_size
        self.query_md = functions.dnnl_primitive_desc_query_md
        self.execute = functions.dnnl_primitive_execute
        self.execute.argtypes = c_void_p, c_void_p, c_int, c_void_p
        # Takes so little time that giving up Python's lock for it would cost more.
        self.set_data_handle = ctypes.PyDLL(self.path).dnnl_memory_set_data_handle
        self.set_data_handle.argtypes = c_void_p, c_void_p
        self.compare = ctypes.CDLL(None).memcmp
        self.compare.argtypes = c_void_p, c_void_p, c_size_t
        self.sgemm = functions.dnnl_sgemm
        self.sgemm.argtypes = (
            *(ctypes.c_char, ctypes.c_char, c_int64, c_int64, c_int64, c_float, c_void_p, c_int64, c_void_p, c_int64),
            *(c_float, c_void_p, c_int64),
        )
        self.multiplies_bfloat16 = bool(functions.dnnl_get_effective_cpu_isa() & _AVX512_BF16)
        self.engine = c_void_p()
        self.call('engine_create', ctypes.byref(self.engine), 1, c_size_t(0))

    def call(self, name, *arguments):
        check(getattr(self._functions, 'dnnl_' + name)(*arguments), name)

    def __repr__(self):
        return f'<oneDNN {".".join(map(str, self.version))} at {self.path}>'


def check(status, name):
    """Raises OneDNNError unless the status is 0."""
    if status:
        text = _STATUS[status] if status < len(_STATUS) else f'status {status}'
        raise OneDNNError(f'dnnl_{name}: {text}')


def _candidates():
    """The files to try, in order."""
    named = os.environ.get('CHAINLITE_ONEDNN')
    if named is not None:
        return [named] if named not in ('', '0') else []
    return [*_wheel(), SONAME] if sys.platform == 'linux' else [*_wheel()]


def _wheel():
    """The library of the wheel, which installs it under the environment's prefix."""
    from importlib import metadata

    try:
        files = metadata.files(WHEEL) or ()
    except metadata.PackageNotFoundError:
        return []
    return [str(f.locate()) for f in files if f.name == SONAME]


_loading = threading.Lock()  # threads that each loaded a library would mix objects of two engines
_loaded = None


def _load():
    """(Library, None), or (None, why there is none). Found out once."""
    global _loaded
    if _loaded is None:
        with _loading:
            _loaded = _loaded or _find()
    return _loaded


def _find():
    keep_freed_memory()
    reasons = []
    for path in _candidates():
        try:
            library = Library(path)
        except (OSError, AttributeError, OneDNNError) as error:  # not there, not oneDNN, or not one that works
            reasons.append(str(error))
        else:
            _prepare_process()
            return library, None
    if not reasons:
        reasons = ['CHAINLITE_ONEDNN turns it off'] if 'CHAINLITE_ONEDNN' in os.environ else ['it is not installed']
    return None, 'oneDNN cannot be used: ' + '; '.join(reasons) + ' (pip install chainlite[onednn] on Linux, x86-64)'


def library():
    """The Library, or None."""
    return _load()[0]


def unavailable_because():
    """Why there is no library; None if there is one."""
    return _load()[1]


# -- the process ------------------------------------------------------------------------------------------------------
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MADV_HUGEPAGE = 14
_HUGE, _HEAP = 1 << 21, 1 << 28  # bytes: of a huge page, and of the memory that is to lie in such pages


def _declined(variable):
    return os.environ.get(variable, '') not in ('', '0')


def _limit_spinning():
    """Has an effect only where this process has not loaded OpenMP yet, for OpenMP reads it then."""
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', '10000')


def _prepare_process():
    if not _declined('CHAINLITE_KEEP_BLAS_THREADS'):
        set_blas_threads(1)


@functools.cache
def keep_freed_memory():
    """Is called before anything is computed, also where the library is not used."""
    if _declined('CHAINLITE_KEEP_MALLOC'):
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # glibc's
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_MAX, 0)  # no block is one of its own, which would go back to the system when it is freed
        _use_huge_pages()


def _use_huge_pages():
    """Asks for them for a block of memory, which is left to malloc; none of it is used before malloc gives it away."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = c_void_p, (c_size_t,)
    libc.free.argtypes, libc.madvise.argtypes = (c_void_p,), (c_void_p, c_size_t, c_int)
    block = libc.malloc(_HEAP)
    if block:
        first, end = -(-block // _HUGE), (block + _HEAP) // _HUGE
        libc.madvise(first * _HUGE, (end - first) * _HUGE, _MADV_HUGEPAGE)
        libc.free(block)


@functools.cache
def _blas():
    """The functions that set and get the number of threads of the OpenBLAS in NumPy's wheel, or None."""
    folder = Path(np.__file__).parent.parent / 'numpy.libs'
    for path in folder.glob('*openblas*'):
        openblas = ctypes.CDLL(str(path))
        for prefix in ('scipy_', ''):
            for suffix in ('64_', ''):
                try:
                    return (
                        openblas[f'{prefix}openblas_set_num_threads{suffix}'],
                        openblas[f'{prefix}openblas_get_num_threads{suffix}'],
                    )
                except AttributeError:
                    pass
    return None


def set_blas_threads(n):
    """Sets the number of threads of NumPy's OpenBLAS, where NumPy brought one."""
    if _blas() is not None:
        _blas()[0](n)


def get_blas_threads():
    """The number of threads of NumPy's OpenBLAS, or None."""
    return None if _blas() is None else _blas()[1]()
