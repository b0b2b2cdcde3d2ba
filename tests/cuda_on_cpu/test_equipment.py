"""Planted bugs: each kind has to make the stand-in fail, and the same kernel without the bug has to pass."""

import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest

import cuda_on_cpu
from cuda_on_cpu import build

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not cuda_on_cpu.enabled(), reason='tests of the stand-in, which does not run beside a GPU'),
]

N = 64


@pytest.fixture(scope='module')
def cupy():
    return pytest.importorskip('cupy')


def kernel(text, name='k', **options):
    import cupy

    return cupy.RawKernel(f'extern "C" __global__ void {name}' + text, name, **options)


def run(k, *arrays, grid=1, block=N):
    """Launches and gives the last array."""
    k((grid,), (block,), arrays)
    return arrays[-1].get()


def results(k, *arrays, **shape):
    """What it computes with the threads in each order."""
    found = []
    for order in cuda_on_cpu.ORDERS:
        with cuda_on_cpu.thread_order(order):
            found.append(run(k, *arrays, **shape))
    return found


def fails(match):
    from cupy_backends.cuda.api.driver import CUDADriverError
    from cupy_backends.cuda.api.runtime import CUDARuntimeError

    return pytest.raises((CUDADriverError, CUDARuntimeError), match=match)


REVERSE = """(const float* x, float* y) {
    __shared__ float s[64];
    int i = threadIdx.x;
    s[i] = x[i];
    %s
    y[i] = s[63 - %s];
}"""


def test_wrong_index_gives_wrong_values(cupy):
    x = cupy.arange(N, dtype='f')
    expected = np.arange(N, dtype='f')[::-1]
    right = run(kernel(REVERSE % ('__syncthreads();', 'i')), x, cupy.empty(N, 'f'))
    wrong = run(kernel(REVERSE % ('__syncthreads();', '(i ^ 1)')), x, cupy.empty(N, 'f'))
    np.testing.assert_array_equal(right, expected)
    assert (wrong != expected).all()


def test_missing_barrier_gives_wrong_values_in_every_order(cupy):
    x = cupy.arange(N, dtype='f')
    for y in results(kernel(REVERSE % ('__syncthreads();', 'i')), x, cupy.empty(N, 'f')):
        np.testing.assert_array_equal(y, np.arange(N)[::-1])
    for y in results(kernel(REVERSE % ('if (i < 0) __syncthreads();', 'i')), x, cupy.empty(N, 'f')):
        assert (y != np.arange(N)[::-1]).any()


@pytest.mark.parametrize('missing', ['', '__syncwarp();'])
def test_missing_barrier_is_a_race(cupy, missing):
    x = cupy.arange(N, dtype='f')
    with cuda_on_cpu.checks():
        run(kernel(REVERSE % ('__syncthreads();', 'i')), x, cupy.empty(N, 'f'))
        with fails('race: a (read|write) of shared memory'):
            run(kernel(REVERSE % (missing or ';', 'i')), x, cupy.empty(N, 'f'))


def test_order_of_threads_shows_which_wrote_last(cupy):
    last = kernel('(int* y) { y[0] = threadIdx.x; }')
    assert len({int(y[0]) for y in results(last, cupy.zeros(1, 'i'))}) == 3


def test_order_of_blocks_shows_which_wrote_last(cupy):
    last = kernel('(int* y) { y[0] = blockIdx.x; }')
    assert len({int(y[0]) for y in results(last, cupy.zeros(1, 'i'), grid=63)}) >= 2


@pytest.mark.parametrize('grid, block', [(1, N), (N, 1)])
def test_race_on_a_sum_is_found(cupy, grid, block):
    with cuda_on_cpu.checks():
        y = run(kernel('(int* y) { atomicAdd(y, 1); }'), cupy.zeros(1, 'i'), grid=grid, block=block)
        assert y == N
        with fails('race: a (read|write) of global memory'):
            run(kernel('(int* y) { y[0] += 1; }'), cupy.zeros(1, 'i'), grid=grid, block=block)


def test_sum_over_blocks_by_the_last_one_is_no_race(cupy):
    text = """(const float* x, float* part, unsigned* arrived, float* y) {
        if (threadIdx.x == 0) {
            part[blockIdx.x] = x[blockIdx.x];
            __threadfence();
            if (atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1) {
                float sum = 0;
                for (int i = 0; i < gridDim.x; i++) sum += part[i];
                *y = sum;
            }
        }
    }"""
    with cuda_on_cpu.checks():
        x = cupy.arange(8, dtype='f')
        assert run(kernel(text), x, cupy.empty(8, 'f'), cupy.zeros(1, 'I'), cupy.empty(1, 'f'), grid=8) == 28


def test_reduction_through_warps_and_shared_memory_is_right_in_every_order_and_no_race(cupy):
    text = """(const float* x, float* y) {
        __shared__ float part[2];
        float v = x[threadIdx.x];
        for (int d = 16; d; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
        if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
        __syncthreads();
        if (threadIdx.x == 0) y[0] = part[0] + part[1];
    }"""
    with cuda_on_cpu.checks():
        for y in results(kernel(text), cupy.arange(N, dtype='f'), cupy.empty(1, 'f')):
            assert y == N * (N - 1) / 2
        assert cupy.arange(1000.0).sum() == 499500  # CuPy's own kernel


@pytest.mark.parametrize('index', ['threadIdx.x + 1', 'threadIdx.x - 5000'])
def test_access_outside_of_an_array_fails(cupy, index):
    k = kernel(f'(const double* x, double* y) {{ y[threadIdx.x] = x[{index}]; }}')
    with fails('illegal memory access'):
        run(k, cupy.zeros(N), cupy.zeros(N))
    assert cupy.ones(3).sum() == 3  # and the next test goes on


def test_write_just_outside_of_an_array_is_found_when_it_is_freed(cupy):
    pointer = cupy.cuda.runtime.malloc(12)
    kernel('(float* x) { x[3] = 1; }')((1,), (1,), (np.intp(pointer),))
    with fails('wrote outside'):
        cupy.cuda.runtime.free(pointer)
    with cuda_on_cpu.checks(), fails('outside of all device memory'):
        run(kernel('(float* x) { x[3] = 2; }'), cupy.zeros(3, 'f'), block=1)


def test_access_outside_of_dynamic_shared_memory_is_found(cupy):
    text = '(float* y) {{ extern __shared__ float s[]; s[threadIdx.x] = 1; y[threadIdx.x] = s[threadIdx.x + {}]; }}'
    with cuda_on_cpu.checks():
        kernel(text.format(0))((1,), (N,), (cupy.zeros(N, 'f'),), shared_mem=4 * N)
        with fails('illegal memory access|race'):
            kernel(text.format(1))((1,), (N,), (cupy.zeros(N, 'f'),), shared_mem=4 * N)


def test_reading_host_memory_is_found(cupy):
    x = np.ones(N, 'f')
    k = kernel('(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }')
    with cuda_on_cpu.checks(), fails('outside of all device memory'):
        k((1,), (N,), (np.intp(x.ctypes.data), cupy.zeros(N, 'f')))


@pytest.mark.parametrize('dtype', ['e', 'f', 'd', 'i', 'q'])
def test_uninitialized_memory_holds_odd_values(cupy, dtype):
    copy = kernel('(const char* x, char* y) { y[threadIdx.x] = x[threadIdx.x]; }')
    y = run(copy, cupy.empty(N // np.dtype(dtype).itemsize, dtype), cupy.zeros(N, 'b'))
    assert (y.view('B') == 0xCB).all()
    shared = kernel('(char* y) { __shared__ char s[64]; y[threadIdx.x] = s[threadIdx.x]; if (y[0] == 1) s[0] = 1; }')
    assert (run(shared, cupy.zeros(N, 'b'), grid=1).view('B') == 0xCB).all()


@pytest.mark.parametrize(
    'body',
    [
        'if (threadIdx.x < 16) __syncthreads(); else { y[0] = 1; __syncthreads(); }',
        'if (threadIdx.x < 16) __syncthreads(); else __syncwarp(0xffffffffu);',
        'if (threadIdx.x == 3) __shfl_sync(0xffffffffu, 1, 0); __syncthreads();',
    ],
)
def test_divergent_barrier_fails(cupy, body):
    with fails('barrier divergence|warp operation'):
        run(kernel(f'(int* y) {{ {body} }}'), cupy.zeros(1, 'i'))


def test_divergent_lanes_may_exchange_among_themselves_and_meet_again(cupy):
    text = """(int* y) {
        int v = threadIdx.x, half = v % 32 < 16 ? 0x0000ffff : 0xffff0000;
        if (v % 32 < 16) for (int i = 0; i < 3; i++) v = __shfl_sync(half, v, 3);
        else v = __shfl_sync(half, v, 20);
        __syncwarp();
        y[threadIdx.x] = v;
    }"""
    expected = [i // 32 * 32 + (3 if i % 32 < 16 else 20) for i in range(N)]
    for y in results(kernel(text), cupy.zeros(N, 'i')):
        np.testing.assert_array_equal(y, expected)


def test_lane_that_its_mask_does_not_name_fails(cupy):
    with fails('does not name'):
        run(kernel('(int* y) { y[0] = __shfl_sync(1, 1, 0); }'), cupy.zeros(1, 'i'))


def test_integer_division_by_zero_fails(cupy):
    with fails('division by zero'):
        run(kernel('(int* y) { y[threadIdx.x] = 7 / y[threadIdx.x]; }'), cupy.zeros(N, 'i'))


def test_too_large_a_block_fails(cupy):
    with fails('a block of 2048 threads'):
        run(kernel('(int* y) { y[0] = 1; }'), cupy.zeros(N, 'i'), block=2048)


# ---- streams


def test_missing_synchronization_shows(cupy):
    x = cupy.zeros(N, 'f')
    with cupy.cuda.Stream(non_blocking=True) as stream:
        x += 1
    assert (cupy.cuda.Stream.null.use() and x.get(blocking=True) == 0).all()
    stream.synchronize()
    assert (x.get() == 1).all()


def test_blocking_stream_comes_before_the_default_stream(cupy):
    x = cupy.zeros(N, 'f')
    with cupy.cuda.Stream():
        x += 1
    assert (x.get() == 1).all()


def test_event_orders_two_streams(cupy):
    first, second = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    for wait in (False, True):
        x, y = cupy.zeros(N, 'f'), cupy.zeros(N, 'f')
        with first:
            x += 1
            event = first.record()
        with second:
            if wait:
                second.wait_event(event)
            y += x
        second.synchronize()
        assert (y.get() == wait).all()
        assert (x.get() == wait).all()
        first.synchronize()


def test_copy_to_pinned_memory_waits_for_a_synchronization(cupy):
    import cupyx

    x, pinned = cupy.ones(N, 'f'), cupyx.zeros_pinned(N, 'f')
    x.get(out=pinned, blocking=False)
    assert (pinned == 0).all()
    cupy.cuda.Stream.null.synchronize()
    assert (pinned == 1).all()


def test_copy_from_pinned_memory_reads_it_when_the_stream_comes_to_it(cupy):
    import cupyx

    x, pinned = cupy.zeros(N, 'f'), cupyx.zeros_pinned(N, 'f')
    pinned[...] = 1
    stream = cupy.cuda.Stream(non_blocking=True)
    x.set(pinned, stream=stream)
    pinned[...] = 2
    stream.synchronize()
    assert (x.get() == 2).all()


def test_lazy_default_stream_shows_who_does_not_wait_for_it(cupy):
    x, y = cupy.zeros(N, 'f'), cupy.zeros(N, 'f')
    with cuda_on_cpu.lazy_default_stream():
        x += 1
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            y += x
        stream.synchronize()
        assert (y.get() == 0).all()


NOWHERE = '(int* y) { *reinterpret_cast<volatile int*>(64) = 1; }'  # what no process has


def test_failure_on_a_stream_appears_when_it_is_synchronized(cupy):
    k = kernel(NOWHERE, name='nowhere')
    x = cupy.zeros(1, 'i')
    with cupy.cuda.Stream(non_blocking=True) as stream:
        k((1,), (1,), (x,))
    with fails('nowhere: illegal memory access'):
        stream.synchronize()


def test_graph_replays_and_nothing_runs_while_it_is_captured(cupy):
    x = cupy.zeros(N, 'f')
    x += 1
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        x += 1
        graph = stream.end_capture()
    assert (x.get() == 1).all()
    for _ in range(3):
        graph.launch(stream)
    stream.synchronize()
    assert (x.get() == 4).all()


def test_reading_back_spoils_a_capture(cupy):
    x = cupy.zeros(N, 'f')
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        with fails('not permitted while the stream is captured'):
            stream.synchronize()
        with fails('spoilt'):
            stream.end_capture()
        x += 1
    stream.synchronize()
    assert (x.get() == 1).all()


def capture(cupy, body):
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        body()
        return stream.end_capture()


def add_one_on_the_default_stream(cupy, x):
    with cupy.cuda.Stream.null:
        cupy.add(x, 1, out=x)


def test_graph_holds_launches_copies_fills_and_events_in_their_order(cupy):
    x, y, z = cupy.zeros(N, 'f'), cupy.zeros(N, 'f'), cupy.ones(N, 'f')

    def body():
        y.data.memset_async(0, y.nbytes)
        cupy.add(y, x, out=y)
        z.data.copy_from_device_async(y.data, y.nbytes)
        other = cupy.cuda.Stream(non_blocking=True)  # which joins the capture, and is joined
        other.wait_event(cupy.cuda.get_current_stream().record())
        with other:
            cupy.add(y, 1, out=y)
        cupy.cuda.get_current_stream().wait_event(other.record())
        cupy.add(y, z, out=y)

    graph = capture(cupy, body)
    assert (z.get() == 1).all()
    for value in (3, 5):
        x.fill(value)
        graph.launch()
        assert (z.get() == value).all() and (y.get() == 2 * value + 1).all()


@pytest.mark.parametrize(
    'body, match',
    [
        (lambda cupy, x: cupy.cuda.get_current_stream().synchronize(), 'synchronizing is not permitted'),
        (lambda cupy, x: cupy.cuda.Device().synchronize(), 'synchronizing the device is not permitted'),
        (lambda cupy, x: cupy.cuda.Stream.null.synchronize(), 'synchronizing the default stream is not permitted'),
        (add_one_on_the_default_stream, 'work for the default stream is not permitted'),
        (lambda cupy, x: cupy.cuda.get_current_stream().done, 'a query is not permitted'),
        (lambda cupy, x: cupy.cuda.get_current_stream().begin_capture(), 'another capture is not permitted'),
    ],
)
def test_what_a_capture_does_not_permit_spoils_it(cupy, body, match):
    x = cupy.zeros(N, 'f')
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        with fails(match):
            body(cupy, x)
        with fails('spoilt'):
            stream.end_capture()
    assert (x + 1).sum() == N


def test_memory_may_be_allocated_in_a_relaxed_capture_only(cupy):
    from cupy.cuda import runtime

    capture(cupy, lambda: runtime.free(runtime.malloc(64)))
    pool = cupy.cuda.MemoryPool()
    for mode in (runtime.streamCaptureModeThreadLocal, runtime.streamCaptureModeGlobal):
        with cupy.cuda.Stream(non_blocking=True) as stream:
            pool.malloc(1 << 20)  # which it keeps for this stream
            stream.begin_capture(mode)
            pool.malloc(1 << 20)
            with fails('allocating is not permitted'):
                runtime.malloc(64)
            with fails('spoilt'):
                stream.end_capture()


@pytest.mark.parametrize('use', [lambda x, y: y.data.copy_from_device_async(x.data, x.nbytes), lambda x, y: x + y])
def test_graph_that_uses_freed_memory_fails(cupy, use):
    arrays = [cupy.zeros(N, 'f'), cupy.zeros(N, 'f')]
    graph = capture(cupy, lambda: arrays.append(use(*arrays)))
    graph.launch()
    del arrays[0]
    with fails('illegal memory access'):
        graph.launch()


# ---- the rest


def test_errors_stick_where_that_is_wanted(cupy):
    with cuda_on_cpu.sticky_errors():
        with fails('illegal memory access'):
            run(kernel(NOWHERE), cupy.zeros(1, 'i'))
        with fails('IllegalAddress'):
            cupy.cuda.runtime.deviceSynchronize()
    cupy.cuda.runtime.deviceSynchronize()


def test_products_of_a_stack_count_as_one_call(cupy):
    from chainlite.backends.gpu._gemm import gemm

    a, out = cupy.zeros((5, 3, 3), 'f'), cupy.empty((5, 3, 3), 'f')
    with cuda_on_cpu.null_driver() as counts:
        gemm(a, a, out)
    assert counts == {'cublas': 1}


def test_null_driver_counts_and_skips(cupy):
    x, y = cupy.ones((4, 4), 'f'), cupy.ones((4, 4), 'f')
    z = x @ y
    with cuda_on_cpu.null_driver() as counts:
        for _ in range(3):
            cupy.add(x, y, out=x)
        x @ y
    assert counts.pop('cublas') == 1
    assert sum(counts.values()) == 3
    assert (x.get() == 1).all() and (z.get() == 4).all()


def test_threads_may_launch_at_the_same_time(cupy):
    k = kernel(REVERSE % ('__syncthreads();', 'i'))
    wrong = []

    def work(seed):
        for i in range(50):
            x = np.arange(N, dtype='f') * seed + i
            with cupy.cuda.Stream(non_blocking=True):
                y = run(k, cupy.asarray(x), cupy.empty(N, 'f'))
            if (y != x[::-1]).any():
                wrong.append((seed, i))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_shared_memory_of_templates_and_inline_functions(cupy):
    module = cupy.RawModule(
        code="""
        template <class T> __device__ T first(T x) {
            __shared__ T s[32];
            s[threadIdx.x] = x;
            __syncthreads();
            return s[0];
        }
        template <class T> __global__ void k(T* y) { y[threadIdx.x] = first(T(threadIdx.x + 7)); }""",
        name_expressions=['k<float>', 'k<double>'],
    )
    for name, dtype in (('k<float>', 'f'), ('k<double>', 'd')):
        assert (run(module.get_function(name), cupy.zeros(32, dtype), block=32) == 7).all()


def test_compiler_of_the_device_rejects_what_only_the_host_accepts(cupy, monkeypatch):
    monkeypatch.setenv('CUDA_ON_CPU_NVRTC', 'sm_90')
    make = cupy.ElementwiseKernel
    assert make('T x', 'T y', 'y = x * 3', 'triple')(cupy.ones(2)).get().tolist() == [3, 3]
    with pytest.raises(cupy.cuda.compiler.CompileException):
        make('T x', 'T y', 'std::vector<int> v(3); y = x + v.size();', 'host_only', preamble='#include <vector>')(
            cupy.ones(2)
        )


def python(code, **environment):
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1]), **environment}
    command = [sys.executable, '-c', 'import cuda_on_cpu; cuda_on_cpu.install()\n' + code]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_does_nothing_unless_the_variable_is_set():
    code = 'import sys; assert not any("cuda_on_cpu" in type(f).__module__ for f in sys.meta_path)'
    assert python(code, CHAINLITE_CUDA_ON_CPU='0').returncode == 0
    assert python(code, CHAINLITE_CUDA_ON_CPU='1').returncode == 1


@pytest.mark.parametrize('imports', ['torch, cupy', 'cupy, torch'])
def test_pytorch_loads_beside_it_and_leaves_cupy_its_libraries(imports):
    code = f"""
import ctypes, {imports}
assert float((cupy.ones((3, 4), 'f') @ cupy.ones((4, 3), 'f')).sum()) == 36 and float(torch.ones(3).sum()) == 3
assert ctypes.CDLL('libcublas.so.13')._handle == ctypes.CDLL({str(build.library('libcublas.so.13'))!r})._handle
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_refuses_to_start_beside_a_driver(tmp_path):
    source = tmp_path / 'driver.cpp'
    source.write_text('extern "C" int cuInit(unsigned) { return 0; }')
    library = tmp_path / 'libcuda.so.1'
    subprocess.run(['g++', '-shared', '-fPIC', source, '-o', library], check=True)
    run = python('import cupy', LD_LIBRARY_PATH=str(tmp_path))
    assert run.returncode == 1
    assert 'this machine has a CUDA driver' in run.stderr


def test_fails_again_where_it_has_failed():
    """A program that goes on after a failure must not get CuPy without the stand-in."""
    code = """
for _ in range(2):
    try:
        import cupy
    except OSError:
        print('failed')
"""
    run = python(code, CUDA_ON_CPU_CACHE='/proc/nowhere')
    assert run.stdout.split() == ['failed', 'failed'], run.stderr


def test_may_be_steered_before_cupy_is_imported():
    code = 'with cuda_on_cpu.thread_order("reverse"):\n    import cupy\n    assert cupy.arange(4).sum() == 6'
    run = python(code)
    assert run.returncode == 0, run.stderr


def test_a_test_that_runs_on_numpy_alone_must_say_why(request):
    conftest = next(p for p in request.config.pluginmanager.get_plugins() if hasattr(p, 'check_second_runs'))

    def item(name, *marks):
        return types.SimpleNamespace(nodeid=name, get_closest_marker=lambda mark: mark if mark in marks else None)

    conftest.check_second_runs(
        [item('t.py::twice[numpy]'), item('t.py::twice[cupy]', 'gpu'), item('t.py::text', 'host')]
    )
    with pytest.raises(pytest.UsageError, match='t.py::alone$'):
        conftest.check_second_runs([item('t.py::alone[1]'), item('t.py::alone[2]'), item('t.py::text', 'host')])
