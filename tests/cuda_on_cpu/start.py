"""Puts the engine where CuPy expects CUDA.

Three things are replaced, none of them in a file of CuPy:
  - libcuda.so.1, libcublas.so.13 and libcurand.so.10, which CuPy loads by these names: ours are loaded before it asks;
  - the functions of the CUDA runtime, which CuPy's modules fetch from cupy_backends.cuda.api.runtime as capsules;
  - cupy.cuda.compiler._NVRTCProgram, the class that compiles.
"""

import ctypes
import functools
import os
import sys

from cuda_on_cpu import build

NAME = b'CPU in the place of a GPU (chainlite, tests/cuda_on_cpu)'
MEMORY = 4 << 30
DEVICES = 2

_C_TYPES = {
    'PyObject *': ctypes.py_object,
    'int': ctypes.c_int,
    'cudaMemcpyKind': ctypes.c_int,
    'intptr_t': ctypes.c_ssize_t,
    'size_t': ctypes.c_size_t,
    'unsigned int': ctypes.c_uint,
    'float': ctypes.c_float,
}


@functools.cache
def load_libraries():
    """Loads ours under the names of NVIDIA's, which are not loaded then when somebody asks for them."""
    engine()
    for soname in ('libcublas.so.13', 'libcurand.so.10'):
        ctypes.CDLL(str(build.library(soname)), mode=ctypes.RTLD_GLOBAL)


def before_cupy():
    load_libraries()
    # Compiled kernels are cached by build.py: CuPy's own cache does not know what changes them.
    os.environ['CUPY_CACHE_IN_MEMORY'] = '1'
    os.environ['CUPY_ACCELERATORS'] = ''  # CUB, which these would use, is more than g++ takes
    os.environ['CHAINER_CUDNN'] = '0'  # which has machine code of its own
    _keep_pathfinder_from_looking()
    _replace_runtime()
    from cuda_on_cpu import host_functions

    host_functions.install()


def after_cupy():
    from cupy.cuda import compiler, set_allocator

    from cuda_on_cpu import host_functions, program

    compiler._NVRTCProgram = program.Program
    compiler._get_nvrtc_version = lambda: (13, 0)
    host_functions.after_cupy()
    if os.environ.get('CUDA_ON_CPU_POOL', '') in ('', '0'):
        set_allocator(None)  # a pool would hand out neighbours and old contents: each array gets pages of its own


@functools.cache
def engine():
    """libcuda.so.1, which holds the engine."""
    import cuda_on_cpu

    _refuse_beside_a_driver()
    library = ctypes.CDLL(str(build.library('libcuda.so.1')), mode=ctypes.RTLD_GLOBAL)
    library.coc_take_counts.restype = ctypes.c_char_p
    library.coc_configure(DEVICES, ctypes.c_size_t(MEMORY))
    library.coc_set_order(cuda_on_cpu._default_order(), 1)
    library.coc_set_checking(build.checking)
    library.coc_set_lazy_default(os.environ.get('CUDA_ON_CPU_LAZY', '') not in ('', '0'))
    return library


def _refuse_beside_a_driver():
    try:
        ctypes.CDLL('libcuda.so.1')
    except OSError:
        return
    raise RuntimeError(
        'CHAINLITE_CUDA_ON_CPU is set, but this machine has a CUDA driver: unset it, so that nothing is taken for a '
        'result of the GPU that is not one'
    )


def _keep_pathfinder_from_looking():
    """CuPy loads NVIDIA's libraries by way of cuda.pathfinder, from wheels or the toolkit; ours are loaded already."""
    from cuda import pathfinder

    load = pathfinder.load_nvidia_dynamic_lib

    class Loaded:
        abs_path, was_already_loaded_from_elsewhere, _handle_uint = '', True, 0

    def load_others(name):
        return Loaded() if name in ('cublas', 'curand') else load(name)

    pathfinder.load_nvidia_dynamic_lib = load_others


def _replace_runtime():
    from cupy_backends.cuda.api import runtime

    library = ctypes.PyDLL(engine()._name)  # functions that hold the interpreter's lock
    library.coc_runtime_begin.argtypes = [ctypes.py_object] * 3
    library.coc_runtime_begin(runtime.CUDARuntimeError, _properties(), runtime.PointerAttributes)
    library.coc_runtime_entry.restype = ctypes.c_void_p
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p] * 3  # the name stays where the engine has it
    name, signature = ctypes.c_char_p(), ctypes.c_char_p()
    number = 0
    while address := library.coc_runtime_entry(number, ctypes.byref(name), ctypes.byref(signature)):
        number += 1
        text = name.value.decode()
        capsule = runtime.__pyx_capi__.get(text)
        if capsule is None:
            continue
        expected = api.PyCapsule_GetName(capsule)
        if expected != signature.value:
            raise RuntimeError(f'this CuPy has another {text}: {expected.decode()}, not {signature.value.decode()}')
        runtime.__pyx_capi__[text] = api.PyCapsule_New(address, ctypes.cast(signature, ctypes.c_void_p), None)
        if hasattr(runtime, text):
            setattr(runtime, text, _python_function(signature.value.decode(), address))
    runtime._getLocalRuntimeVersion = lambda: 13020


def _python_function(signature, address):
    """A Python function of a C function with Cython's conventions: its last parameters are Cython's own."""
    head, parameters = signature[:-1].split('(', 1)
    types = [_C_TYPES[p] for p in map(str.strip, parameters.split(',')) if '__pyx' not in p and p != 'void']
    own = [ctypes.c_int] * ('__pyx_skip_dispatch' in parameters) + [ctypes.c_void_p] * ('__pyx_opt' in parameters)
    result = _C_TYPES.get(head.strip(), ctypes.py_object)
    function = ctypes.PYFUNCTYPE(result, *types, *own)(address)
    tail = (0, None)[: len(own)]
    n = len(types)

    def call(*args):
        return function(*args[:n], *tail)

    call._keep = function
    return call


def _properties():
    """Of an H100, but for the name: kernels choose their launch shapes by these."""
    return dict(
        name=NAME,
        totalGlobalMem=MEMORY,
        sharedMemPerBlock=49152,
        sharedMemPerBlockOptin=232448,
        sharedMemPerMultiprocessor=233472,
        regsPerBlock=65536,
        warpSize=32,
        maxThreadsPerBlock=1024,
        maxThreadsDim=(1024, 1024, 64),
        maxGridSize=(2147483647, 65535, 65535),
        maxThreadsPerMultiProcessor=2048,
        multiProcessorCount=132,
        major=9,
        minor=0,
        l2CacheSize=50 << 20,
        totalConstMem=65536,
        clockRate=1980000,
        memoryClockRate=2619000,
        memoryBusWidth=5120,
        pciBusID=0,
        pciDeviceID=0,
        pciDomainID=0,
        computeMode=0,
        managedMemory=1,
        unifiedAddressing=1,
        integrated=0,
        concurrentKernels=1,
    )


assert sys.platform == 'linux', 'the stand-in GPU runs on Linux'
