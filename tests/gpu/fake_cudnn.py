"""The frontend of cuDNN, as far as chainlite uses it, with graphs that NumPy computes.

It checks what the real one would: that tensors are described once and completely, that pointers are given for all of
them and are aligned, that a graph is planned before it runs, by a handle of its device.

    module = FakeCudnn()
    monkeypatch.setitem(sys.modules, 'cudnn', module)
"""

import ctypes
import enum
import types

import cupy
import ml_dtypes
import numpy as np

from chainlite.backends.cpu import batch_normalization, conv

data_type = enum.Enum('data_type', 'NOT_SET HALF BFLOAT16 FLOAT DOUBLE')
heur_mode = enum.Enum('heur_mode', 'A B FALLBACK')
numerical_note = enum.Enum('numerical_note', 'TENSOR_CORE DOWN_CONVERT_INPUTS NONDETERMINISTIC')
DTYPES = {'HALF': np.float16, 'BFLOAT16': ml_dtypes.bfloat16, 'FLOAT': np.float32, 'DOUBLE': np.float64}


class NotSupported(Exception):
    """What the frontend calls cudnnGraphNotSupportedError."""


class Tensor:
    def __init__(self, dim=None, stride=None, data_type=None, is_pass_by_value=False, uid=None):
        self.dim, self.stride, self.type, self.uid = dim, stride, data_type, uid
        self.by_value, self.output = is_pass_by_value, False

    def set_output(self, value):
        self.output = value
        return self

    def set_uid(self, uid):
        self.uid = uid
        return self

    def set_data_type(self, data_type):
        self.type = data_type
        return self

    def set_dim(self, dim):
        self.dim = dim
        return self

    def set_stride(self, stride):
        self.stride = stride
        return self

    def array(self, pointer):
        """The array at the pointer: CuPy's, or NumPy's number of it."""
        dtype = np.dtype(DTYPES[self.type.name])
        if self.by_value:
            return np.ctypeslib.as_array((ctypes.c_float * 1).from_address(pointer))[0]
        assert pointer % 16 == 0
        size = dtype.itemsize * (1 + sum((n - 1) * s for n, s in zip(self.dim, self.stride)))
        memory = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(pointer, size, self), 0)
        return cupy.ndarray(self.dim, dtype, memory, [s * dtype.itemsize for s in self.stride])


class Plan:
    def __init__(self, name, notes=(), workspace=0, seconds=0):
        self.name, self.notes, self.workspace, self.seconds = name, set(notes), workspace, seconds
        self.built = self.barred = False


class Graph:
    """`pygraph`: operations are kept as functions of arrays."""

    def __init__(self, module, *, io_data_type, intermediate_data_type, compute_data_type, handle):
        assert handle in module.handles
        assert io_data_type in data_type and intermediate_data_type == compute_data_type
        self.module, self.operations, self.plans, self.stage = module, [], [], 'new'
        self.tensors = []
        module.graphs.append(self)

    def tensor(self, **attributes):
        self.tensors.append(Tensor(**attributes))
        return self.tensors[-1]

    def _operation(self, compute, inputs, count=1):
        outputs = [Tensor() for _ in range(count)]
        self.tensors += outputs
        self.operations.append((compute, inputs, outputs))
        return outputs

    # ---- operations

    def conv_fprop(self, *, image, weight, pre_padding, post_padding, stride, dilation):
        window = tuple(stride), tuple(pre_padding), tuple(dilation)

        def compute(y, x, W):
            groups = x.shape[1] // W.shape[1]
            return [conv.convolve.reference(x, W, None, *window, groups, y.shape[2:], 'd')]

        (y,) = self._operation(compute, [image, weight])
        self._expect_outs(image, weight, y, pre_padding, post_padding, stride, dilation)
        return y

    def conv_dgrad(self, *, loss, filter, pre_padding, post_padding, stride, dilation):
        window = tuple(stride), tuple(pre_padding), tuple(dilation)

        def compute(x, y, W):
            groups = x.shape[1] // W.shape[1]
            return [conv.deconvolve.reference(y, W, None, *window, groups, x.shape[2:], 'd')]

        (x,) = self._operation(compute, [loss, filter])
        self._expect_outs(x, filter, loss, pre_padding, post_padding, stride, dilation)
        return x

    def conv_wgrad(self, *, image, loss, pre_padding, post_padding, stride, dilation):
        window = tuple(stride), tuple(pre_padding), tuple(dilation)

        def compute(W, x, y):
            groups = x.shape[1] // W.shape[1]
            return [conv.filter_grad.reference(x, y, W.shape[2:], *window, groups, 'd')]

        (W,) = self._operation(compute, [image, loss])
        self._expect_outs(image, W, loss, pre_padding, post_padding, stride, dilation)
        return W

    def _expect_outs(self, x, W, y, before, behind, stride, dilation):
        def check():
            for n, k, out, p, q, s, d in zip(
                x.dim[2:], W.dim[2:], y.dim[2:], before, behind, stride, dilation, strict=True
            ):
                assert p >= 0 and q >= 0 and out == (n + p + q - d * (k - 1) - 1) // s + 1

        self.checks = check

    def batchnorm(self, *, input, scale, bias, in_running_mean, in_running_var, epsilon, momentum):
        assert in_running_mean is in_running_var is momentum is None

        def compute(y, mean, inv_std, x, gamma, beta, eps):
            c, axis = x.shape[1], (0, *range(2, x.ndim))
            y, mean, var = batch_normalization.batch_normalize.reference(
                x, gamma.reshape(c), beta.reshape(c), axis, eps
            )
            return y, mean.reshape(gamma.shape), ((var + eps) ** -0.5).reshape(gamma.shape)

        return [*self._operation(compute, [input, scale, bias, epsilon], 3), None, None]

    def batchnorm_backward(self, *, grad, input, scale, mean, inv_variance):
        def compute(gx, ggamma, gbeta, gy, x, *numbers):
            axis = 0, *range(2, x.ndim)
            numbers = [a.reshape(-1) for a in numbers]
            gx, *sums = batch_normalization.normalize_grad.reference(gy, x, *numbers, axis, False)
            return gx, *[a.reshape(ggamma.shape) for a in sums]

        return self._operation(compute, [grad, input, scale, mean, inv_variance], 3)

    # ---- plans

    def _advance(self, before, after):
        assert self.stage == before, f'{after} after {self.stage}'
        self.stage = after

    def validate(self):
        self._advance('new', 'validated')
        kept = [t for t in self.tensors if t.dim is not None]
        assert len({t.uid for t in kept}) == len(kept) and all(t.uid > 0 and t.type for t in kept)
        for t in kept:
            assert len(t.dim) == len(t.stride) >= 4 and all(isinstance(n, int) for n in (*t.dim, *t.stride))
        getattr(self, 'checks', lambda: None)()

    def build_operation_graph(self):
        self._advance('validated', 'graph')

    def create_execution_plans(self, modes):
        assert all(mode in heur_mode for mode in modes)
        self._advance('graph', 'plans')
        self.plans = self.module.plans()
        if not self.plans:
            raise NotSupported('no engine')

    def deselect_workspace_greater_than(self, size):
        for plan in self.plans:
            plan.barred |= plan.workspace > size

    def deselect_numeric_notes(self, notes):
        for plan in self.plans:
            plan.barred |= bool(plan.notes & {note.name for note in notes})

    def get_execution_plan_count(self):
        return len(self.plans)

    def check_support(self):
        self._first()

    def _first(self):
        for plan in self.plans:
            if not plan.barred:
                return plan
        raise NotSupported('all are deselected')

    def build_plans(self):
        self._first().built = True

    def get_workspace_size(self):
        return self._first().workspace

    def build_plan_at_index(self, index):
        if self.plans[index].barred:
            raise NotSupported('deselected')
        self.plans[index].built = True

    def get_workspace_size_plan_at_index(self, index):
        return self.plans[index].workspace

    # ---- execution

    def execute(self, pointers, workspace, handle):
        self._run(self._first(), pointers, workspace, handle)

    def execute_plan_at_index(self, pointers, workspace, index, handle):
        self._run(self.plans[index], pointers, workspace, handle)

    def _run(self, plan, pointers, workspace, handle):
        if self.module.error is not None:
            raise self.module.error
        assert plan.built and bool(workspace) == bool(plan.workspace)
        assert self.module.handles[handle] == cupy.cuda.get_current_stream().ptr
        assert set(pointers) == {t.uid for t in self.tensors if t.dim is not None}
        self.module.runs.append(plan.name)
        cupy.cuda.get_current_stream().synchronize()
        self.module.clock += 1000 * plan.seconds
        for compute, inputs, outputs in self.operations:
            outputs = [t.array(pointers[t.uid]) for t in outputs]
            inputs = [t.array(pointers[t.uid]) for t in inputs]
            wide = [cupy.asnumpy(a).astype('d') if isinstance(a, cupy.ndarray) else float(a) for a in inputs]
            for out, value in zip(outputs, compute(*outputs, *wide), strict=True):
                out[...] = cupy.asarray(value.astype(out.dtype))


class FakeEvent:
    """`cupy.cuda.Event` by the clock of the fake, which is the same on a busy machine."""

    def __init__(self, module):
        self.module, self.time = module, None

    def record(self):
        self.time = self.module.clock

    def synchronize(self):
        assert self.time is not None


class FakeCudnn(types.ModuleType):
    """The module.

    Attributes:
        plans: function that gives the plans of a new graph.
        error: what every run raises, if not None.
        graphs, runs: all graphs that were made, the names of the plans that were run.
        handles: the stream of each.
        clock: milliseconds that the runs have taken, by what their plans say.
    """

    data_type, heur_mode, numerical_note = data_type, heur_mode, numerical_note
    cudnnGraphNotSupportedError = NotSupported

    def __init__(self):
        super().__init__('cudnn')
        self.__version__ = 'of the tests'
        self.graphs, self.runs, self.handles, self.error, self.clock = [], [], {}, None, 0
        self.plans = lambda: [Plan('only')]

    def backend_version(self):
        return 92800

    def backend_version_string(self):
        return '9.28.0'

    def create_handle(self):
        handle = 0x1000 + len(self.handles)
        self.handles[handle] = 0
        return handle

    def set_stream(self, handle, stream):
        self.handles[handle] = stream

    def destroy_handle(self, handle):
        del self.handles[handle]

    def pygraph(self, **options):
        return Graph(self, **options)
