"""One launch over many arrays: equations in place, norms, a look for numbers that are not finite.

    table, numbers = Table(), Numbers()                 # to be kept from step to step
    table.list([[p, g], [p2, g2], ...])                 # uploads addresses and sizes, where they are not there already
    numbers.put([0.1], 'f')                             # likewise
    kernel(equations, table.dtypes, (0,), ())(table, numbers, {})     # output 0 overwrites p, p2, ...

The arrays stay where they are: kernels find them by a table of addresses in device memory, and a block takes one chunk
of one array (kernels/multi_tensor.cuh). What a kernel reads besides, hyperparameters and the like, it reads from device
memory too. So a launch that was recorded in a CUDA graph can be given other numbers before it is replayed.
"""

from contextlib import nullcontext

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._equations import CUDA_PREAMBLE, Equations, _compute_dtype
from chainlite.backends.gpu._launch import _TYPES, OPTIONS, function, source

CHUNK = 1 << 14  # elements, as in multi_tensor.cuh
THREADS = 256
_CTYPES = {np.dtype('f'): 'float', np.dtype('d'): 'double'}


def recording():
    """Whether the current stream records a CUDA graph, into which copies from the host shall not get."""
    return cuda.cupy.cuda.get_current_stream().is_capturing()


class Numbers:
    """Numbers in device memory, uploaded where they have changed."""

    def __init__(self):
        self.array, self._host, self._waits = None, None, False

    def put(self, values, dtype):
        """Makes them what these are.

        While a graph is recorded the copy waits for `upload`; the array is there at once."""
        host = np.array(values, dtype)
        if self.array is None or self._host.shape != host.shape or self._host.dtype != host.dtype:
            # Not of a pool: that of a graph hands out memory which earlier launches of the graph write to.
            with cuda.cupy.cuda.using_allocator(None) if recording() else nullcontext():
                self.array = cuda.cupy.empty(host.shape, host.dtype)
        elif not self._waits and self._host.tobytes() == host.tobytes():
            return
        self._host, self._waits = host, True
        if not recording():
            self.upload()

    def upload(self):
        """Does the copy that waits, if there is one."""
        if self._waits:
            self.array.set(self._host)
            self._waits = False


class Table(Numbers):
    """Addresses and sizes of rows of arrays: those of a row have one shape, those of a column one dtype.

    Attributes:
        array (cupy.ndarray): What kernels read.
        rows (int): Number of rows.
        chunks (int): Number of blocks for a kernel to be launched with.
        dtypes (tuple): Of the columns.
        overlap (bool): Whether some of the arrays share memory.
    """

    def __init__(self):
        super().__init__()
        self._addresses = self._sizes = self._blocks = None
        self.rows = self.chunks = 0
        self.dtypes, self.overlap = (), False
        self.parts = None  # of a sum: kept because a recorded launch writes there

    def list(self, rows):
        """Lists arrays, which are contiguous and on the current device; a list of lists."""
        addresses = [a.data.ptr for arrays in rows for a in arrays]
        sizes = [arrays[0].size for arrays in rows]
        if addresses == self._addresses and sizes == self._sizes:
            return
        if sizes != self._sizes:
            counts = [-(-size // CHUNK) for size in sizes]
            self._blocks = np.array([(i << 32) + k for i, count in enumerate(counts) for k in range(count)], np.uint64)
        self._addresses, self._sizes = addresses, sizes
        self.rows, self.chunks = len(rows), len(self._blocks)
        self.dtypes = tuple([a.dtype for a in rows[0]])
        starts = np.array(addresses, np.uint64).reshape(len(rows), -1)
        count = np.array(sizes, np.uint64)[:, None]
        self.overlap = _overlap(starts, starts + count * np.array([d.itemsize for d in self.dtypes], np.uint64))
        self.array = None  # a launch, or a graph, may still read the one before
        self.put(np.concatenate([np.concatenate([starts, count], axis=1).ravel(), self._blocks]), np.uint64)


def _overlap(starts, ends):
    """Whether some of the ranges that are not empty have something in common."""
    some = starts < ends
    starts, ends = starts[some], ends[some]
    order = np.argsort(starts)
    return bool((ends[order][:-1] > starts[order][1:]).any())


def compute_dtype(dtypes):
    """In which dtype equations of arrays of these dtypes are computed."""
    return _compute_dtype(np.result_type(*dtypes))


def kept_table(keep, key, rows):
    """A table of rows of arrays, kept from one step to the next.

    Args:
        keep (callable): ``keep(key, make)`` returns what it had for the key in the step before, or ``make()``.
    """
    table = keep(('table', *key), Table)
    table.list(rows)
    return table


def kernel(equations: Equations, dtypes, into, pointers):
    """A kernel that runs equations in place for each row of a table: output k overwrites the array of column `into[k]`.

    Args:
        equations: Of as many arrays as tables will have columns.
        dtypes (tuple): Of the columns.
        into (tuple of int): Columns.
        pointers (tuple of str): Scalars that are not among the numbers: they will be read from addresses.

    Returns:
        callable: Takes the table, `Numbers` (all scalars in order, in the dtype that `compute_dtype` gives; what stands
        there for the pointers does not matter) and a dict of the pointers: CuPy arrays of one float64 element.
    """
    key = 'multi', dtypes, into, pointers, cuda.cupy.cuda.runtime.getDevice()
    launch = equations._programs.get(key)
    if launch is None:
        name, text = kernel_text(equations, dtypes, into, pointers)
        compiled = cuda.cupy.RawModule(code=text, options=OPTIONS).get_function(name)

        def launch(table, numbers, values):
            if table.chunks:
                arguments = table.array, table.rows, numbers.array, *values.values()
                compiled((table.chunks,), (THREADS,), arguments)

        equations._programs[key] = launch
    return launch


def kernel_text(equations, dtypes, into, pointers):
    """(name, source) of the kernel."""
    c = _CTYPES[compute_dtype(dtypes)]
    columns = range(len(dtypes))
    pack = 16 // max([d.itemsize for d in dtypes])
    numbers = {s: f'*p_{s}' if s in pointers else f's[{i}]' for i, s in enumerate(equations.scalars)}
    text = {('scalar', s): f'n_{s}' for s in numbers}
    text |= {('name', x): f'x{k}' for k, x in enumerate(equations.inputs)}
    statements, results = equations.cuda_statements(lambda e: text[e.op, e.args[0]])
    body = [f'const C x{k} = load(a{k});' for k in columns] + statements
    body += [f'const C y{k} = {y};' for k, y in enumerate(results)]
    body += [f'store(a{i}, y{k});' for k, i in enumerate(into)]
    types = [('' if k in into else 'const ') + _TYPES[d.char] for k, d in enumerate(dtypes)]
    name = equations.label.replace(' ', '_')
    parameters = ''.join(f', const double* p_{s}' for s in pointers)
    arguments = ', '.join(f'{t}& a{k}' for k, t in enumerate(types))
    lines = [
        source('multi_tensor.cuh'),
        CUDA_PREAMBLE,
        f'using C = {c};',
        f'extern "C" __global__ void __launch_bounds__({THREADS})',
        f'{name}(const unsigned long long* table, long long rows, const C* s{parameters}) {{',
        *(f'    const C n_{s} = static_cast<C>({place});' for s, place in numbers.items()),
        f'    for_each_of_chunk<{pack}, {", ".join(types)}>(table, rows, [=]({arguments}) {{',
        *(f'        {line}' for line in body),
        '    });',
        '}',
        '',
    ]
    return name, '\n'.join(lines)


# ---- sums and looks -------------------------------------------------------------------------------------------------


def clip_scale(tables, threshold, out):
    """Writes to `out`, a float64 element: the factor that brings the L2 norm of all arrays to the threshold.

    It is 1 if the norm is not above the threshold, or NaN. Sums have a fixed order.

    Args:
        tables (list of Table): Of one column; one table for each dtype.
        threshold (cupy.ndarray): A float64 element.
    """
    count = sum([table.chunks for table in tables])
    parts = tables[0].parts
    if parts is None or parts.size != count:
        parts = tables[0].parts = cuda.cupy.empty(count, 'd')
    start = 0
    for table in tables:
        if table.chunks:
            run = function('multi_tensor.square_sums', *table.dtypes)
            run((table.chunks,), (THREADS,), (table.array, table.rows, parts[start:]))
        start += table.chunks
    function('multi_tensor.clip_scale', parts.dtype)((1,), (THREADS,), (parts, parts.size, threshold, out))


def not_finite(tables):
    """For each row of the tables, which have one column: whether it has an infinity or a NaN. One look at the device.

    Returns:
        numpy.ndarray of bool.
    """
    flags = cuda.cupy.zeros(sum([table.rows for table in tables]), 'i')
    start = 0
    for table in tables:
        if table.chunks:
            run = function('multi_tensor.find_not_finite', *table.dtypes)
            run((table.chunks,), (THREADS,), (table.array, table.rows, flags[start:]))
        start += table.rows
    return flags.get() != 0
