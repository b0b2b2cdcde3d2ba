"""Training in 16 bits on a GPU: the loss falls, parameters keep their dtypes, nothing but one flag is read."""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import optimizer_hooks, optimizers
from chainlite.backends import cuda


class Net(chainlite.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv1 = L.Convolution2D(1, 8, 3, pad=1, nobias=True)
            self.norm1 = L.BatchNormalization(8)
            self.conv2 = L.Convolution2D(8, 8, 3, pad=1)
            self.norm2 = L.BatchNormalization(8)
            self.fc = L.Linear(None, 4)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.norm1(self.conv1(x))), 2)
        return self.fc(F.relu(self.norm2(self.conv2(h)) + h))


def batch(xp):
    """Pictures whose bright rows are their class."""
    random = np.random.RandomState(0)
    t = random.randint(0, 4, 32).astype('i')
    x = random.randn(32, 1, 8, 8) * 0.3
    for i, k in enumerate(t):
        x[i, 0, 2 * k : 2 * k + 2] += 1
    return xp.asarray(x.astype('f')).astype(chainlite.get_dtype()), xp.asarray(t)


@pytest.fixture(params=['float16', 'bfloat16', 'mixed16'])
def dtype(request):
    value = chainlite.mixed16 if request.param == 'mixed16' else request.param
    with chainlite.using_config('dtype', value):
        yield request.param


@pytest.mark.parametrize('scale', [None, 'static', 'dynamic'])
@pytest.mark.parametrize('fp32', [False, True])
def test_network_with_batch_normalization_learns(cupy, dtype, scale, fp32):
    np.random.seed(0)
    net = Net()
    net.to_device('@cupy:0')
    optimizer = optimizers.MomentumSGD(0.05).setup(net)
    optimizer.add_hook(optimizer_hooks.WeightDecay(1e-4))
    optimizer.add_hook(optimizer_hooks.GradientClipping(5.0 if scale is None else 1e4))
    if fp32:
        optimizer.use_fp32_update()
    if scale == 'static':
        optimizer.loss_scaling(scale=128.0)
    if scale == 'dynamic':
        optimizer.loss_scaling()
    x, t = batch(cupy)
    losses = []

    def loss():
        y = F.softmax_cross_entropy(net(x), t)
        losses.append(float(cuda.to_cpu(y.array)))
        return y

    for _ in range(6):
        optimizer.update(loss)
    assert losses[-1] < 0.2 * losses[0]
    low, high = {'float16': ('float16',) * 2, 'bfloat16': ('bfloat16',) * 2, 'mixed16': ('float16', 'float32')}[dtype]
    assert net.conv1.W.dtype == net.fc.b.dtype == low and net.norm1.gamma.dtype == high
    assert net.conv1.W.update_rule.state['v'].dtype == ('float32' if fp32 else low)
    if scale == 'dynamic':
        assert optimizer._loss_scale == 2**6


def test_an_update_with_a_static_scale_reads_nothing_back(cupy, dtype):
    net = Net()
    net.to_device('@cupy:0')
    optimizer = optimizers.Adam().setup(net)
    optimizer.use_fp32_update()
    optimizer.loss_scaling(scale=128.0)
    optimizer.add_hook(optimizer_hooks.GradientClipping(1.0))
    x, t = batch(cupy)
    optimizer.update(lambda: F.softmax_cross_entropy(net(x), t))
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()  # under which reading is an error
        optimizer.update()
        stream.end_capture()
