"""Steps of training equal PyTorch's, by the recipes of examples/cifar: weights and running averages.

Momentum here is a sum of steps, each with the rate of its time (Caffe's form, and Chainer's); in PyTorch it is a sum of
gradients, times the rate of today. While the rate stays the two are the same. Where it falls, the test scales what has
been summed up here, as PyTorch does by itself. Adam's eps counts before the correction of the bias here, in PyTorch
after it: it is next to nothing here.
"""

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite.backends import cuda

torch = pytest.importorskip('torch', reason='PyTorch, to compare with, is not installed')
from equal_to_torch import twins  # noqa: E402
from equal_to_torch.test_networks import Pair, distance, one_thread  # noqa: E402, F401  (a fixture)


def momentum(lr):
    return chainlite.optimizers.MomentumSGD(lr, 0.9), lambda params: torch.optim.SGD(params, lr, 0.9, weight_decay=1e-4)


def adam(lr):
    return chainlite.optimizers.Adam(lr, eps=1e-30), lambda params: torch.optim.Adam(params, lr, eps=1e-30)


def sgd(lr):
    return chainlite.optimizers.SGD(lr), lambda params: torch.optim.SGD(params, lr)


RECIPES = {
    'ResNet-20': (momentum, 0.1),
    'plain-20': (momentum, 0.1),
    'LeNet-5': (adam, 1e-3),
    'two classes': (sgd, 0.1),
}


def lower(optimizer, other, rate):
    """Lowers the learning rate of both."""
    for param in optimizer.target.params():
        param.update_rule.state['v'] *= rate / optimizer.lr
    optimizer.lr = other.param_groups[0]['lr'] = rate


@pytest.mark.parametrize('name', RECIPES)
def test_weights_are_those_of_pytorch_after_steps(name, device):
    steps, fall = (6, 4) if device.xp is np else (2, 1)
    pair = Pair(name, device)
    pair.to_float64()
    pair.link.to_device(device)
    make, lr = RECIPES[name]
    optimizer, make_other = make(lr)
    optimizer.setup(pair.link)
    other = make_other(pair.module.parameters())
    if make is momentum:
        optimizer.add_hook(chainlite.optimizer_hooks.WeightDecay(1e-4))
    classes = pair.gy.shape[1]
    for step in range(steps):
        if step == fall and make is momentum:
            lower(optimizer, other, lr / 10)
        x, t = np.random.standard_normal(pair.x.shape), np.random.randint(0, classes, len(pair.x)).astype('i')
        loss = F.softmax_cross_entropy(pair.link(device.send(x)), device.send(t))
        pair.link.cleargrads()
        loss.backward()
        optimizer.update()
        expected = torch.nn.functional.cross_entropy(pair.module(torch.tensor(x)), torch.tensor(t).long())
        other.zero_grad()
        expected.backward()
        other.step()
        assert float(loss.array) == pytest.approx(expected.item(), rel=1e-8)
    for path, array, tensor in twins.pair(pair.link, pair.module):
        assert isinstance(array, device.xp.ndarray) and array.dtype == np.float64
        assert distance(cuda.to_cpu(array), tensor.detach().numpy()) <= 1e-8, path
