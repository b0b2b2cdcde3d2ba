"""Between NumPy and CuPy, and what there is on a GPU alone: streams, several devices, kernels of the user."""

import contextlib
import copy

import cuda_on_cpu
import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import Chain, Parameter, Variable, optimizers, serializers
from chainlite.backends import cuda
from chainlite.dataset import ConcatWithAsyncTransfer, concat_examples
from chainlite.iterators import SerialIterator
from chainlite.training.updaters import ParallelUpdater

pytestmark = pytest.mark.gpu


class Net(Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(2, 4, 3, pad=1, nobias=True)
            self.bn = L.BatchNormalization(4)
            self.fc = L.Linear(None, 3)

    def forward(self, x):
        return self.fc(F.max_pooling_2d(F.relu(self.bn(self.conv(x))), 2))


def batch():
    rng = np.random.default_rng(0)
    return rng.standard_normal((4, 2, 6, 6)).astype('f'), rng.integers(0, 3, 4).astype('i')


def train(net, device, make=optimizers.Adam, steps=3):
    """Trains some steps; returns the optimizer and the losses."""
    net.to_device(device)
    optimizer = make().setup(net)
    x, t = (chainlite.get_device(device).send(a) for a in batch())
    losses = []
    for _ in range(steps):
        loss = F.softmax_cross_entropy(net(x), t)
        net.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(float(cuda.to_cpu(loss.array)))
    return optimizer, losses


def parameters(link):
    return {name: cuda.to_cpu(p.array) for name, p in link.namedparams()}


def net():
    np.random.seed(0)
    n = Net()
    n(batch()[0])  # makes the lazy parameter
    return n


@pytest.mark.parametrize('make', [optimizers.Adam, optimizers.MomentumSGD, optimizers.RMSprop])
def test_training_takes_the_same_steps_as_on_the_cpu(make):
    one = net()
    other = copy.deepcopy(one)
    _, losses = train(one, '@numpy', make)
    _, found = train(other, '@cupy:0', make)
    assert found == pytest.approx(losses, rel=1e-4)
    for name, value in parameters(one).items():
        np.testing.assert_allclose(parameters(other)[name], value, rtol=2e-3, atol=2e-4)
    assert all(p.xp is cuda.cupy and isinstance(p.grad, cuda.ndarray) for p in other.params())


def test_optimizer_goes_on_where_its_link_is():
    n = net()
    optimizer, _ = train(n, '@cupy:0', steps=2)
    n.to_device('@numpy')
    x, t = batch()
    optimizer.update(lambda: F.softmax_cross_entropy(n(x), t))
    for p in n.params():
        assert isinstance(p.array, np.ndarray)
        assert all(not isinstance(s, cuda.ndarray) for s in p.update_rule.state.values())


def test_variable_goes_to_the_gpu_and_back_with_its_gradient():
    x = Variable(np.arange(3, dtype='f'))
    x.grad = np.ones(3, 'f')
    x.to_gpu()
    assert isinstance(x.array, cuda.ndarray) and isinstance(x.grad, cuda.ndarray)
    assert x.device == chainlite.get_device('@cupy:0') and x.xp is cuda.cupy
    x.to_cpu()
    np.testing.assert_array_equal(x.array, [0, 1, 2])
    assert isinstance(x.grad, np.ndarray)


def test_snapshot_of_a_gpu_loads_on_the_cpu_and_the_other_way(tmp_path):
    n = net()
    optimizer, _ = train(n, '@cupy:0')
    serializers.save_npz(tmp_path / 'n', n)
    serializers.save_npz(tmp_path / 'o', optimizer)
    for device in '@numpy', '@cupy:0':
        other = Net()
        other.to_device(device)
        again = optimizers.Adam().setup(other)
        serializers.load_npz(tmp_path / 'n', other)
        serializers.load_npz(tmp_path / 'o', again)
        assert other.conv.W.device == chainlite.get_device(device)
        for name, value in parameters(n).items():
            np.testing.assert_array_equal(parameters(other)[name], value)
        state, expected = other.conv.W.update_rule.state, n.conv.W.update_rule.state
        for key in ('m', 'v'):
            np.testing.assert_array_equal(cuda.to_cpu(state[key]), cuda.to_cpu(expected[key]))
        x, t = (other.conv.W.device.send(a) for a in batch())
        again.update(lambda x=x, t=t, other=other: F.softmax_cross_entropy(other(x), t))
        assert isinstance(state['m'], other.xp.ndarray)


@pytest.mark.parametrize('padding', [None, -1])
def test_batches_are_made_on_the_gpu(padding):
    lengths = (2, 3) if padding is not None else (3, 3)
    examples = [(np.arange(n, dtype='f'), np.int32(n)) for n in lengths]
    x, t = concat_examples(examples, device=0, padding=padding)
    assert isinstance(x, cuda.ndarray) and isinstance(t, cuda.ndarray)
    expected = concat_examples(examples, padding=padding)[0]
    np.testing.assert_array_equal(x.get(), expected)


class Batches:
    """Batches of pairs and what a computation on them gives."""

    def __init__(self):
        rng = np.random.RandomState(0)
        self.examples = [[(rng.rand(50).astype('f'), np.int32(i)) for _ in range(4)] for i in range(6)]
        self.expected = [np.stack([x for x, _ in batch]) * 2 + i for i, batch in enumerate(self.examples)]


@pytest.mark.parametrize('lazy', [False, True])
@pytest.mark.parametrize('keep', [0, 2])
def test_batches_that_are_sent_aside_arrive_whole_and_stay_until_they_are_used(lazy, keep):
    batches, results, kept = Batches(), [], []
    deferred = cuda_on_cpu.lazy_default_stream() if lazy and cuda_on_cpu.enabled() else contextlib.nullcontext()
    pool = cuda.cupy.cuda.MemoryPool()
    with deferred, cuda.cupy.cuda.using_allocator(pool.malloc):
        converter = ConcatWithAsyncTransfer()
        for batch in batches.examples:
            x, t = converter(batch, device=0)
            results.append(x * 2 + t[:, None])  # in line, behind the copy
            kept = [*kept, x][-keep:] if keep else []
            del x, t  # the next copy must not take their memory before the line is there
        results = [y.get() for y in results]
    np.testing.assert_allclose(results, batches.expected)
    sent = [len(conveyor._sent) for conveyor in converter._conveyors.values()]
    assert max(sent) <= 2 + keep or lazy  # memory is given back


def test_batches_can_be_sent_aside_for_another_stream():
    batches, stream = Batches(), cuda.Stream(non_blocking=True)
    converter = ConcatWithAsyncTransfer(compute_stream=stream)
    results = []
    for batch in batches.examples:
        x, t = converter(batch, device=0)
        with stream:
            results.append(x * 2 + t[:, None])
        del x, t
    stream.synchronize()
    np.testing.assert_allclose([y.get() for y in results], batches.expected)


def test_arrays_of_two_kinds_are_named():
    x, W = np.ones((2, 2), 'f'), cuda.cupy.ones((2, 2), 'f')
    with pytest.raises(TypeError, match=r'types are mixed .*LinearFunction.*\n.*numpy.ndarray.*cupy.ndarray') as error:
        F.linear(x, W)
    assert 'x is a numpy.ndarray, W is a cupy.ndarray on device 0' in str(error.value)


@pytest.mark.multi_gpu(2)
def test_arrays_of_two_devices_are_named():
    W = cuda.cupy.ones((2, 2), 'f')
    with cuda.get_device_from_id(1):
        x = cuda.cupy.ones((2, 2), 'f')
    with pytest.raises(TypeError, match='devices are mixed') as error:
        F.matmul(x, W)
    assert 'ndarray on device 1' in str(error.value) and 'ndarray on device 0' in str(error.value)


@pytest.mark.multi_gpu(2)
def test_function_computes_on_the_device_of_its_inputs():
    with cuda.get_device_from_id(1):
        x, y = (Variable(cuda.cupy.ones((2, 3), 'f')) for _ in range(2))
    z = F.sum(F.exp(x) * y)
    z.backward()
    assert {int(a.device) for a in (z.array, x.grad, y.grad)} == {1}


@pytest.mark.multi_gpu(2)
def test_gradients_add_up_across_devices():
    x, y = Parameter(np.ones(3, 'f')), Parameter(np.ones(3, 'f'))
    x.to_gpu(0)
    y.to_gpu(1)
    for p in (x, y):
        p.cleargrad()
        F.sum(p * 2).backward()
    x.addgrad(y)
    np.testing.assert_array_equal(x.grad.get(), [4, 4, 4])
    assert int(x.grad.device) == 0


def test_work_on_a_stream_is_there_after_it_is_synchronized():
    x = Variable(cuda.cupy.arange(12, dtype='f').reshape(3, 4))
    cuda.cupy.cuda.Stream.null.synchronize()
    with cuda.Stream(non_blocking=True) as stream:
        y = F.sum(F.matmul(F.tanh(x), x, transb=True))
        y.backward()
    stream.synchronize()
    expected = Variable(x.array.get())
    F.sum(F.matmul(F.tanh(expected), expected, transb=True)).backward()
    np.testing.assert_allclose(x.grad.get(), expected.grad, rtol=1e-5)


# ---- what cuda offers, and hooks ------------------------------------------------------------------------------------


def test_kernels_of_the_user_are_made_once():
    cupy = cuda.cupy
    add = cuda.elementwise('T x, T y', 'T z', 'z = x + 2 * y', 'add_twice')
    assert add(cupy.arange(3.0), cupy.ones(3)).tolist() == [2, 3, 4]
    assert cuda.elementwise('T x, T y', 'T z', 'z = x + 2 * y', 'add_twice') is add
    norm = cuda.reduce('T x', 'T y', 'x * x', 'a + b', 'y = sqrt(a)', '0', 'norm')
    assert norm(cupy.asarray([[3.0, 4], [6, 8]]), axis=1).tolist() == [5, 10]
    code = 'extern "C" __global__ void count(float* x) { x[threadIdx.x] += threadIdx.x; }'
    x = cupy.ones(4, 'f')
    cuda.raw(code, 'count')((1,), (4,), (x,))
    assert x.tolist() == [1, 2, 3, 4] and cuda.raw(code, 'count') is cuda.raw(code, 'count')


@pytest.mark.multi_gpu(2)
def test_memos_are_kept_for_each_device_and_forgotten():
    calls = []

    @cuda.memoize(for_each_device=True)
    def device():
        calls.append(int(cuda.Device()))
        return calls[-1]

    for _ in range(2):
        assert device() == 0
        with cuda.get_device_from_id(1):
            assert device() == 1
    assert calls == [0, 1]
    cuda.clear_memo()
    assert device() == 0 and calls == [0, 1, 0]


def test_the_memory_of_functions_is_counted():
    from chainlite.function_hooks import CupyMemoryProfileHook

    x = Variable(cuda.cupy.ones((64, 32), 'f'))
    with cuda.cupy.cuda.using_allocator(cuda.cupy.cuda.MemoryPool().malloc), CupyMemoryProfileHook() as hook:
        y = F.exp(x)
        F.sum(y * y).backward()
    name, used, acquired, depth = hook.call_history[0]
    assert name == 'Exp' and depth == 0
    assert used == x.array.nbytes <= acquired == hook.summary()['Exp']['acquired_bytes']
    assert hook.total_acquired_bytes() >= acquired and hook.total_used_bytes() >= 3 * used


def test_functions_are_marked_for_profilers(monkeypatch):
    from chainlite.function_hooks import CUDAProfileHook

    marks, nvtx = [], cuda.cupy.cuda.nvtx
    monkeypatch.setattr(nvtx, 'RangePush', marks.append, raising=False)
    monkeypatch.setattr(nvtx, 'RangePop', lambda: marks.append(None), raising=False)
    x = Variable(cuda.cupy.ones(3, 'f'))
    with CUDAProfileHook():
        F.sum(x).backward()
    assert marks == ['Sum.forward', None, 'Sum.backward', 'SumGrad.forward', None, None]


@pytest.mark.multi_gpu(2)
def test_an_updater_of_two_devices_takes_the_steps_of_one():
    examples = [(x, np.float32(x.sum())) for x in np.random.RandomState(0).rand(8, 3).astype('f')]
    weights = []
    for devices in {'main': -1}, {'main': 0, 'second': 1}:
        link = L.Linear(3, 1, initialW=np.full((1, 3), 0.5, 'f'))
        model = L.Classifier(link, lossfun=lambda y, t: F.sum((y[:, 0] - t) ** 2), accfun=None)
        model.compute_accuracy = False
        optimizer = optimizers.MomentumSGD(0.01).setup(model)
        updater = ParallelUpdater(SerialIterator(examples, 4, shuffle=False), optimizer, devices=devices)
        for _ in range(3):
            updater.update()
        weights.append(cuda.to_cpu(link.W.array))
        if 'second' in devices:
            assert int(link.W.array.device) == 0 and int(link.W.update_rule.state['v'].device) == 0
    np.testing.assert_allclose(*weights, rtol=1e-5)


def test_gradients_of_one_model_are_set_in_another_that_has_none():
    from chainlite.training.updaters.multiprocess_parallel_updater import gather_grads, scatter_grads

    source, target = L.Linear(2, 3), L.Linear(2, 3)
    source.to_device('@cupy:0')
    target.to_device('@cupy:0')
    F.sum(source(source.xp.ones((1, 2), 'f'))).backward()
    target.cleargrads()
    for _ in range(2):  # where there are gradients they are overwritten
        scatter_grads(target, gather_grads(source))
        for param, other in zip(source.params(), target.params()):
            np.testing.assert_array_equal(cuda.to_cpu(param.grad), cuda.to_cpu(other.grad))
