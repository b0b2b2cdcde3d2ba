"""What errors of a GPU say, and what they leave."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite.backends._cuda_errors import explain
from chainlite.backends.gpu import _launch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pool(cupy):
    """A memory pool of its own, to be limited."""
    pool = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc):
        yield pool


class Network(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(64, 128)
            self.l2 = L.Linear(128, 10)

    def forward(self, x):
        return F.sum(F.sigmoid(self.l2(F.sigmoid(self.l1(x)))))


def trained_network():
    net = Network()
    net.to_device('@cupy:0')
    return net, chainer.optimizers.Adam().setup(net)


def states(net):
    arrays = [p.array.get() for p in net.params()]
    for p in net.params():
        arrays += [a.get() if hasattr(a, 'get') else np.array(a) for a in (p.update_rule.state or {}).values()]
    return arrays


def test_out_of_memory_names_the_function_and_what_there_is(cupy, pool):
    x, W = cupy.zeros((8, 3, 16, 16), 'f'), cupy.zeros((64, 3, 3, 3), 'f')
    pool.set_limit(size=pool.total_bytes() + 4096)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError) as caught:
        F.convolution_2d(x, W)
    text = str(caught.value)
    assert 'Out of memory allocating' in text  # CuPy's own text, with the bytes that were asked for
    assert 'in Convolution2DFunction, forward: (8, 3, 16, 16) float32, (64, 3, 3, 3) float32; on GPU 0' in text
    assert 'bytes are free on the device' in text


def test_out_of_memory_in_backward_names_the_function(cupy, pool):
    x = chainer.Variable(cupy.zeros((4, 5000), 'f'))
    y = F.sum(F.exp(F.sin(x)))
    pool.set_limit(size=pool.total_bytes() + 1024)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match=r', backward: .*\(4, 5000\) float32; on GPU 0'):
        y.backward()


def test_blocks_that_the_pool_keeps_are_given_back_before_memory_runs_out(cupy, pool):
    pool.set_limit(size=9 << 19)  # 4.5 MiB
    x = cupy.zeros(1 << 18, 'f')  # 1
    kept = cupy.empty(2 << 20, 'b')
    del kept
    assert pool.free_bytes() >= 2 << 20
    y = F.concat((x, x, x), axis=0)
    assert y.array.nbytes == 3 << 20 and pool.free_bytes() < 2 << 20


@pytest.mark.parametrize('where', ['forward', 'update'])
def test_after_out_of_memory_nothing_is_changed_and_a_smaller_batch_works(cupy, pool, where):
    net, optimizer = trained_network()
    small, large = cupy.ones((2, 64), 'f'), cupy.ones((4096, 64), 'f')
    if where == 'forward':
        optimizer.update(net, small)
    before, t = states(net), optimizer.t
    net.cleargrads()
    pool.free_all_blocks()
    used = pool.used_bytes()
    # In the update, of the first step, the states have to be made.
    pool.set_limit(size=pool.total_bytes() + (1 << 20 if where == 'forward' else 2 * 64 * 128 * 4))
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError) as caught:
        optimizer.update(net, large if where == 'forward' else small)
    assert optimizer.t == t
    after = states(net)
    assert all(np.array_equal(a, b) for a, b in zip(before, after))
    net.cleargrads()
    if where == 'forward':
        assert pool.used_bytes() <= used  # although the error, and with it the traceback, is still there
    else:
        pool.set_limit(size=0)
    assert caught.value is not None
    optimizer.update(net, small)
    assert optimizer.t == t + 1


def test_a_kernel_that_does_not_compile_names_the_function(cupy, monkeypatch):
    monkeypatch.setattr(_launch, 'source', lambda name: 'template <class T> void softmax(T) { does_not_exist(); }')
    _launch.function.cache_clear()
    try:
        with pytest.raises(cupy.cuda.compiler.CompileException) as caught:
            F.softmax(cupy.zeros((2, 3), 'f'))
    finally:
        _launch.function.cache_clear()
    text = str(caught.value)
    assert 'softmax' in text and 'while it was compiled' in text
    assert 'in Softmax, forward: (2, 3) float32; on GPU 0' in text


def test_errors_of_the_device_keep_their_type_and_number(cupy, monkeypatch):
    def fail(*args):
        raise cupy.cuda.runtime.CUDARuntimeError(719)

    monkeypatch.setattr('chainlite.backends.gpu.softmax._forward', fail)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match='in Softmax, forward') as caught:
        F.softmax(cupy.zeros((2, 3), 'f'))
    assert caught.value.status == 719
    assert 'does not recover' in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, cupy.cuda.runtime.CUDARuntimeError) and copy.status == 719


def test_other_errors_stay_as_they_are(cupy):
    error = ValueError('x')
    explain(error, 'Softmax, forward', [cupy.zeros(2)])
    assert str(error) == 'x' and type(error) is ValueError


LOST = """
import sys
sys.path.insert(0, 'tests')
import cuda_on_cpu
cuda_on_cpu.install()
import chainlite as chainer, chainlite.functions as F, chainlite.links as L
from chainlite.backends import cuda
from chainlite.training import extensions
import numpy as np
assert cuda.available
cupy = cuda.cupy
far = cupy.RawKernel('extern "C" __global__ void far(float *x) { x[1ll << 40] = 1; }', 'far')

class Network(chainer.Chain):
    steps = 0
    def __init__(self):
        super().__init__(l=L.Linear(3, 2))
    def __call__(self, x):
        self.steps += 1
        h = self.l(x)
        if self.steps == 3:
            far((1,), (1,), (h.array,))
            cupy.cuda.Device().synchronize() if len(sys.argv) > 2 else None
        return F.sum(h)

net = Network()
optimizer = chainer.optimizers.SGD().setup(net)
iterator = chainer.iterators.SerialIterator(np.ones((8, 3), 'f'), 2)
updater = chainer.training.StandardUpdater(iterator, optimizer, device='@cupy:0')
trainer = chainer.training.Trainer(updater, (4, 'iteration'), sys.argv[1])
trainer.extend(extensions.snapshot(), trigger=(2, 'iteration'))
def run():
    try:
        trainer.run(show_loop_exception_msg=False)
    except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError) as error:
        print(error)
if cuda_on_cpu.enabled():
    with cuda_on_cpu.sticky_errors():
        run()
else:
    run()
"""


def test_a_lost_context_names_the_function_and_the_last_snapshot(cupy, tmp_path):
    result = subprocess.run(
        [sys.executable, '-c', LOST, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert 'illegal memory access' in result.stdout, result.stderr[-2000:]
    assert 'iteration 3 of the training' in result.stdout
    assert 'does not recover' in result.stdout and 'CUDA_LAUNCH_BLOCKING' in result.stdout
    assert f'The last snapshot is {tmp_path}/snapshot_iter_2.' in result.stdout
