"""Compiling and launching the functions of the CUDA sources.

    run = function('pooling.max_pool', x.dtype, 'unsigned', 2)     # max_pool<float, unsigned, 2> of pooling.cu
    launch(run, y.size, x, y, ...)                                 # a thread for each of so many elements

A function is compiled when it is first asked for, for the types it is asked for; CuPy keeps the machine code on disk.
"""

import re
from functools import cache
from math import prod

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._cuda_errors import explain
from chainlite.backends._kernel_files import kernel_source

THREADS = 256  # in a block
LONG_ROW_THREADS = 512  # in a block that has a row to itself
_MOST_BLOCKS = 1 << 16  # of a grid-stride loop: enough for any device
_TYPES = {'e': '__half', 'E': '__nv_bfloat16', 'f': 'float', 'd': 'double'}  # by the character of the dtype
_TYPES |= {'b': 'signed char', 'B': 'unsigned char', 'h': 'short', 'i': 'int', 'l': 'long long', 'q': 'long long'}
OPTIONS = ('--std=c++17',)


@cache
def source(name):
    """The text of a kernel file with the headers of ours in their places: CuPy's cache goes by it."""
    included = set()

    def include(match):
        header = match[1]
        if header in included:
            return ''
        included.add(header)
        return expand(header)

    def expand(file):
        text = kernel_source(file).replace('#pragma once\n', '')
        return re.sub(r'#include "(\w+\.cuh)"\n', include, text)

    return expand(name)


def expression(name, *types):
    """C++'s name of a function for these template arguments: dtypes, names of types, integers."""
    names = [_TYPES[t.char] if isinstance(t, np.dtype) else str(t).lower() for t in types]
    return f'{name}<{", ".join(names)}>' if names else name


@cache
def function(name, *types):
    """The function ``file.name`` for these template arguments, as a kernel of CuPy's."""
    file, name = name.split('.')
    name = expression(name, *types)
    module = cuda.cupy.RawModule(code=source(f'{file}.cu'), options=OPTIONS, name_expressions=(name,))
    try:
        return module.get_function(name)
    except Exception as error:
        explain(error, f'{name} of {file}.cu, while it was compiled')
        raise


def index_type(*arrays):
    """The type that numbers the elements of all the arrays."""
    return index_type_of(max([a.size for a in arrays]))


def index_type_of(size):
    """The type that numbers so many elements."""
    return 'unsigned long long' if size >= 1 << 31 else 'unsigned'


def constants(*numbers):
    """The numbers, each made what CuPy otherwise makes of it at every launch: that takes longer than an array does."""
    from cupy._core._scalar import CScalar

    return tuple(map(CScalar, numbers))


def launch(run, count, *arguments):
    """Runs a function of grid-stride loops over `count` elements, which is also its last argument.

    Arrays are passed as pointers, and so is None; ints and floats fill integers of any size and doubles.
    """
    if count:
        run(blocks_for(count), (THREADS,), (*arguments, count))


def blocks_for(count):
    """The blocks of a launch over so many elements."""
    return (min((count + THREADS - 1) // THREADS, _MOST_BLOCKS),)


def launch_columns(run, arrays, shape, axis, *rest):
    """Runs a function over the columns of arrays of that shape along `axis`: see columns.cuh."""
    length, inner = shape[axis], prod(shape[axis + 1 :])
    columns = prod(shape[:axis]) * inner
    workers = 8 if inner > 1 else _workers(length)  # 8: so that 32 neighbouring columns are read together
    blocks = min(-(-columns // (THREADS // workers)), _MOST_BLOCKS)
    run((blocks,), (THREADS,), (*arrays, *rest, length, inner, workers, columns))


def launch_rows(name, types, arrays, length, *rest):
    """Runs the function ``file.name<types..., V, K>`` over the rows of contiguous arrays: see rows.cuh.

    Threads read packs of V elements. If they are few, each keeps its K packs in registers, otherwise K is 0.
    """
    x = arrays[0]
    pack = pack_size(length, *arrays)
    packs, kept = length // pack, 4
    workers, threads = _workers(packs), THREADS
    if packs > kept * workers:
        kept, workers, threads = 0, LONG_ROW_THREADS, LONG_ROW_THREADS
    rows = x.size // length
    blocks = min(-(-rows // (threads // workers)), _MOST_BLOCKS)
    function(name, *types, pack, kept)((blocks,), (threads,), (*arrays, *rest, packs, workers, rows))


def _workers(length):
    """How many threads share a row: about 4 elements each."""
    workers = 1
    while workers < THREADS and workers * 4 < length:
        workers *= 2
    return workers


def pack_size(length, *arrays):
    """How many elements threads move at once: those in 16 bytes if they divide the rows, otherwise 1."""
    pack = 16 // arrays[0].dtype.itemsize
    return 1 if length % pack or any([a.data.ptr % 16 for a in arrays]) else pack


def contiguous(*arrays):
    """The arrays, or copies, with their elements in row order."""
    return [a if a._c_contiguous else cuda.cupy.ascontiguousarray(a) for a in arrays]  # `flags` takes six times as long


def alike(dtype, *arrays):
    """The arrays, or copies, with their elements of that dtype in row order."""
    return [a if a.dtype == dtype and a._c_contiguous else a.astype(dtype, order='C', copy=False) for a in arrays]


def aligned(*arrays):
    """The arrays, or copies, at addresses where packs of any dtype can lie: contiguous arrays that are read in packs of
    another one's length."""
    return [a if a.data.ptr % 64 == 0 else a.copy() for a in arrays]


def number_of_parts(blocks, count, workers):
    """Into how many parts sums of `count` elements are split if there are so many blocks of them, with so many threads
    for each sum: enough to fill the device, few enough to be merged quickly."""
    return max(1, min(64, 1024 // blocks, count // (4 * workers)))


def is_float(*arrays):
    """Whether the kernels have these dtypes, the arrays have elements, and all are CuPy's."""
    kind = cuda.cupy.ndarray
    for a in arrays:
        if not isinstance(a, kind) or a.dtype.char not in 'eEfd' or not a.size:
            return False
    return True
