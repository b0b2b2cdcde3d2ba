"""cuDNN's graphs: built for arrays of certain shapes, kept, and run.

    def build(make, arrays, *settings): ...  # adds operations to make.graph; says which tensors are which arrays
    run(build, (x, W, y), settings, last)    # False where cuDNN has no plan for that

The arrays are all C-contiguous or all channels last. Plans and handles belong to a thread: cuDNN's are not shared.
"""

import contextlib
import threading
from collections import OrderedDict

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cudnn import _backend
from chainlite.configuration import config

MOST_PLANS = 1024  # kept by a thread; those used longest ago go first
_CANDIDATES = 8  # plans that are timed
_REPEATS = 5
_TYPES = {'e': 'HALF', 'E': 'BFLOAT16', 'f': 'FLOAT', 'd': 'DOUBLE'}  # cuDNN's, by the character of the dtype


class _OfThread(threading.local):
    def __init__(self):
        self.handles = {}  # device -> [handle, its stream]
        self.plans = OrderedDict()  # None where there is no plan


_mine = _OfThread()


def strides(shape, last):
    """The strides, in elements, of an array (n, c, *dims): those that cuDNN knows the layout by."""
    steps, step = [0] * len(shape), 1
    order = (0, *range(2, len(shape)), 1) if last else range(len(shape))
    for i in reversed(order):
        steps[i] = step
        step *= shape[i]
    return steps


class Make:
    """A graph in the making, for certain arrays.

    Attributes:
        graph: the frontend's `pygraph`.
        constants: scalars that the graph reads from the host's memory, by the numbers of their tensors.
    """

    def __init__(self, frontend, arrays, last, **options):
        self.frontend, self.arrays, self.last = frontend, arrays, last
        self._type = frontend.data_type
        dtype = arrays[0].dtype
        wide = self._type.DOUBLE if dtype == np.float64 else self._type.FLOAT
        types = dict(io_data_type=self._type_of(dtype), intermediate_data_type=wide, compute_data_type=wide)
        self.graph = frontend.pygraph(**types, **options)
        self.constants = {}

    def _type_of(self, dtype):
        return getattr(self._type, _TYPES[dtype.char])

    def _attributes(self, array):
        """Number, shape, strides and type; tensors have the number of their array, from 1."""
        (place,) = [i for i, a in enumerate(self.arrays) if a is array]
        return place + 1, list(array.shape), strides(array.shape, self.last), self._type_of(array.dtype)

    def tensor(self, array):
        """The tensor of an array that is read."""
        uid, shape, steps, kind = self._attributes(array)
        return self.graph.tensor(dim=shape, stride=steps, data_type=kind, uid=uid)

    def result(self, tensor, array):
        """Says that a tensor is a result, to be written to that array."""
        uid, shape, steps, kind = self._attributes(array)
        tensor.set_output(True).set_uid(uid).set_data_type(kind).set_dim(shape).set_stride(steps)

    def constant(self, value):
        """The tensor of a number, as float32."""
        uid = len(self.arrays) + 1 + len(self.constants)
        self.constants[uid] = np.array([value], np.float32)
        ones = [1] * self.arrays[0].ndim
        kind = self._type.FLOAT
        return self.graph.tensor(dim=ones, stride=ones, data_type=kind, is_pass_by_value=True, uid=uid)


def plan_graph(make, workspace, tensor_cores, deterministic):
    """Lets cuDNN plan the graph; what the settings exclude cannot be built. Raises where cuDNN has nothing for it."""
    frontend, graph = make.frontend, make.graph
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([frontend.heur_mode.A, frontend.heur_mode.FALLBACK])
    graph.deselect_workspace_greater_than(workspace)
    note = frontend.numerical_note
    excluded = [] if tensor_cores else [note.TENSOR_CORE, note.DOWN_CONVERT_INPUTS]
    if deterministic:
        excluded.append(note.NONDETERMINISTIC)
    if excluded:
        graph.deselect_numeric_notes(excluded)


class _Plan:
    """A graph with the plan to run it by.

    Attributes:
        index: number of the plan; None is cuDNN's own choice.
        workspace: bytes of scratch memory.
    """

    index = None

    def __init__(self, make):
        self.graph = make.graph
        self._constants = make.constants  # keeps what the pointers point to
        self._pointers = {uid: value.ctypes.data for uid, value in make.constants.items()}
        self.workspace = 0

    def choose_first(self):
        """Takes the plan that cuDNN thinks best."""
        self.graph.check_support()
        self.graph.build_plans()
        self.workspace = self.graph.get_workspace_size()

    def choose_fastest(self, arrays, handle, unsupported):
        """Times plans on the arrays, and takes the fastest; those that fail are passed over."""
        timings = []
        for index in range(self.graph.get_execution_plan_count()):
            with contextlib.suppress(unsupported, RuntimeError, MemoryError):
                self.graph.build_plan_at_index(index)
                self.index, self.workspace = index, self.graph.get_workspace_size_plan_at_index(index)
                timings.append((self._time(arrays, handle), index, self.workspace))
            if len(timings) == _CANDIDATES:
                break
        if not timings:
            raise unsupported('no plan could be built')
        _, self.index, self.workspace = min(timings)

    def _time(self, arrays, handle):
        """Milliseconds of a run: the shortest of some, after one that loads what it needs."""
        self(arrays, handle)
        times = []
        for _ in range(_REPEATS):
            begin, end = cuda.Event(), cuda.Event()
            begin.record()
            self(arrays, handle)
            end.record()
            end.synchronize()
            times.append(cuda.cupy.cuda.get_elapsed_time(begin, end))
        return min(times)

    def __call__(self, arrays, handle):
        pointers = {i: a.data.ptr for i, a in enumerate(arrays, 1)}
        pointers.update(self._pointers)
        scratch = cuda.cupy.cuda.alloc(self.workspace) if self.workspace else None
        address = scratch.ptr if scratch is not None else 0
        if self.index is None:
            self.graph.execute(pointers, address, handle=handle)
        else:
            self.graph.execute_plan_at_index(pointers, address, self.index, handle=handle)


def _handle(frontend):
    """(device, cuDNN's handle of this thread for it), on the current stream."""
    device = cuda.cupy.cuda.runtime.getDevice()
    entry = _mine.handles.get(device)
    if entry is None:
        entry = _mine.handles[device] = [frontend.create_handle(), 0]
    stream = cuda.cupy.cuda.get_current_stream().ptr
    if stream != entry[1]:
        frontend.set_stream(entry[0], stream)
        entry[1] = stream
    return device, entry[0]


def _capturing():
    return cuda.cupy.cuda.runtime.streamIsCapturing(cuda.cupy.cuda.get_current_stream().ptr)


def run(build, arrays, settings, last):
    """Runs a graph on arrays, of which the last ones are its results.

    Args:
        build: function of a `Make`, the arrays and the settings, that adds the operations.
        arrays: CuPy arrays, all channels last if `last`, otherwise all C-contiguous; that of the images is the first.
        settings: tuple that, with the shapes and dtypes, says all about the graph.

    Returns:
        Whether it ran. False: cuDNN has no plan for this, there is no memory for its scratch, or it just failed.
    """
    try:
        import cudnn as frontend

        device, handle = _handle(frontend)
        dtype = arrays[0].dtype
        tensor_cores = config.compute_mode == 'tf32' if dtype == 'f' else cuda.should_use_cudnn_tensor_core(dtype)
        limits = cuda.get_max_workspace_size(), tensor_cores, config.cudnn_deterministic
        tuned = config.autotune and not config.cudnn_deterministic  # what is fastest changes from run to run
        key = build, settings, last, device, limits, tuned, *[(a.shape, a.dtype.char) for a in arrays]
        plans = _mine.plans
        if key in plans:
            plans.move_to_end(key)
            plan = plans[key]
        else:
            tuned = tuned and not _capturing()
            plan = plans[key] = _plan(frontend, build, arrays, settings, last, limits, handle, tuned)
            while len(plans) > MOST_PLANS:
                plans.popitem(last=False)
        if plan is None:
            return False
        plan(arrays, handle)
        return True
    except cuda.cupy.cuda.memory.OutOfMemoryError:
        return False
    except Exception as error:  # the frontend raises RuntimeError, and what its compiled part makes of it
        _backend.give_up(error)
        return False


def _plan(frontend, build, arrays, settings, last, limits, handle, tuned):
    """The plan for the arrays, timed on them if `tuned`; None if cuDNN has none."""
    unsupported = frontend.cudnnGraphNotSupportedError
    try:
        make = Make(frontend, arrays, last, handle=handle)
        build(make, arrays, *settings)
        plan_graph(make, *limits)
        plan = _Plan(make)
        if tuned:
            plan.choose_fastest(arrays, handle, unsupported)
        else:
            plan.choose_first()
        return plan
    except unsupported:
        return None


def aligned(array):
    """The array, or a copy of the same layout that starts where cuDNN expects: at multiples of 16 bytes."""
    return array if array.data.ptr % 16 == 0 else array.copy(order='K')


def forget():
    """Drops the plans and handles of this thread."""
    _mine.plans.clear()
    if _mine.handles:
        import cudnn as frontend

        for handle, _ in _mine.handles.values():
            frontend.destroy_handle(handle)
        _mine.handles.clear()
