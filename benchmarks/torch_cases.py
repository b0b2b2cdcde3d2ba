"""The cases of ``chainer_cases`` in PyTorch: the same names, models, weights and batches."""

import itertools

import layer_cases
import network_cases
from inputs import arrays, batches, initial_value

SMALL = 10, 10
IMAGES = 32, 16, 32, 32


def _operation(torch, function, *shapes):
    inputs = [torch.from_numpy(a).requires_grad_() for a in arrays(*shapes)]
    gy = torch.ones_like(function(*inputs))

    def step():
        for x in inputs:
            x.grad = None
        y = function(*inputs)
        y.backward(gy)
        return (y, *[x.grad for x in inputs])

    return step


def time_add(torch):
    return _operation(torch, lambda x, y: x + y, SMALL, SMALL)


def time_relu(torch):
    return _operation(torch, torch.relu, SMALL)


def time_reshape(torch):
    return _operation(torch, lambda x: torch.reshape(x, (4, 25)), SMALL)


def time_sum(torch):
    return _operation(torch, torch.sum, SMALL)


def time_chain_100(torch):
    def chain(x, y):
        for _ in range(50):
            x = torch.relu(x) + y
        return x

    return _operation(torch, chain, SMALL, SMALL)


def time_relu_large(torch):
    return _operation(torch, torch.relu, IMAGES)


def time_sigmoid_large(torch):
    return _operation(torch, torch.sigmoid, IMAGES)


def time_dropout_eval_add_large(torch):
    return _operation(torch, lambda x, y: torch.dropout(x, 0.5, False) + y, IMAGES, IMAGES)


def time_max_pooling(torch):
    return _operation(torch, lambda x: torch.max_pool2d(x, 2), IMAGES)


def time_average_pooling(torch):
    return _operation(torch, lambda x: torch.nn.functional.avg_pool2d(x, 2), IMAGES)


def time_convolution(torch):
    return _operation(torch, lambda x, W, b: torch.conv2d(x, W, b, padding=1), IMAGES, (16, 16, 3, 3), (16,))


def time_deconvolution(torch):
    return _operation(
        torch, lambda x, W: torch.conv_transpose2d(x, W, stride=2, padding=1), (32, 16, 16, 16), (16, 16, 4, 4)
    )


def time_linear(torch):
    return _operation(torch, torch.nn.functional.linear, (100, 784), (100, 784), (100,))


def time_batch_normalization(torch):
    def function(x, gamma, beta):
        return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=2e-5)

    return _operation(torch, function, IMAGES, (16,), (16,))


def time_concat_large(torch):
    return _operation(torch, lambda x, y: torch.cat((x, y), 1), IMAGES, IMAGES)


def time_softmax_cross_entropy(torch):
    t = torch.arange(100) % 10
    return _operation(torch, lambda x: torch.nn.functional.cross_entropy(x, t), (100, 10))


def time_lstm_cell(torch):
    def function(c, x):
        # Chainer's order of the gates: the four values of one unit lie side by side (cell input, in, forget, out).
        a, i, f, o = x.reshape(len(x), -1, 4).unbind(2)
        c = torch.tanh(a) * torch.sigmoid(i) + c * torch.sigmoid(f)
        return c + torch.sigmoid(o) * torch.tanh(c)

    return _operation(torch, function, (32, 128), (32, 512))


def modules(torch):
    nn, F = torch.nn, torch.nn.functional

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.l1 = nn.Linear(784, 100)
            self.l2 = nn.Linear(100, 10)

        def forward(self, x):
            return self.l2(F.relu(self.l1(x)))

    class LeNet5(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.conv3 = nn.Conv2d(16, 120, 4)
            self.fc4 = nn.Linear(120, 84)
            self.fc5 = nn.Linear(84, 10)

        def forward(self, x):
            h = F.max_pool2d(F.relu(self.conv1(x)), 2)
            h = F.max_pool2d(F.relu(self.conv2(h)), 2)
            h = F.relu(self.conv3(h)).flatten(1)
            return self.fc5(F.relu(self.fc4(h)))

    def batch_norm(n):
        return nn.BatchNorm2d(n, eps=2e-5, momentum=0.1)

    class Block(nn.Module):
        def __init__(self, n_in, n_out):
            super().__init__()
            stride, self.more = n_out // n_in, n_out - n_in
            self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
            self.bn1 = batch_norm(n_out)
            self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
            self.bn2 = batch_norm(n_out)

        def forward(self, x):
            h = F.relu(self.bn1(self.conv1(x)))
            h = self.bn2(self.conv2(h))
            if self.more:
                x = F.pad(F.max_pool2d(x, 2), (0, 0, 0, 0, 0, self.more))
            return F.relu(h + x)

    class ResNet20(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.bn = batch_norm(16)
            self.blocks = nn.Sequential(
                *[
                    Block(n_in, n_out)
                    for n_in, n_out in [(16, 16)] * 3 + [(16, 32)] + [(32, 32)] * 2 + [(32, 64)] + [(64, 64)] * 2
                ]
            )
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            h = self.blocks(F.relu(self.bn(self.conv(x))))
            return self.fc(F.avg_pool2d(h, 8).flatten(1))

    return {'mlp': MLP, 'lenet5': LeNet5, 'resnet20': ResNet20}


def chainer_path(module, attribute, path):
    """Chainer's name of a PyTorch parameter: ``conv1.weight`` is ``/conv1/W``, ``bn1.weight`` is ``/bn1/gamma``."""
    names = {'weight': 'gamma', 'bias': 'beta'} if hasattr(module, 'running_mean') else {'weight': 'W', 'bias': 'b'}
    return '/'.join(['', *path.split('.'), names[attribute]])


def named_parameters(model):
    return sorted(
        (chainer_path(module, attribute, path), param)
        for path, module in model.named_modules()
        for attribute, param in module.named_parameters(recurse=False)
    )


def make_model(torch, name, seed=0):
    model = modules(torch)[name]()
    for path, param in named_parameters(model):
        param.data = torch.from_numpy(initial_value(path, tuple(param.shape), seed))
    return model


def _batches(torch, shape):
    return itertools.cycle([(torch.from_numpy(x), torch.from_numpy(t).long()) for x, t in batches(*shape)])


def _training_step(torch, name, optimizer, shape):
    model = make_model(torch, name)
    optimizer = optimizer(model.parameters())
    pool = _batches(torch, shape)

    def step():
        x, t = next(pool)
        loss = torch.nn.functional.cross_entropy(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _sgd(torch, lr, momentum=0):
    return lambda params: torch.optim.SGD(params, lr=lr, momentum=momentum)


def time_mlp_step(torch):
    return _training_step(torch, 'mlp', _sgd(torch, 0.1), (100, 784))


def time_lenet5_step(torch):
    return _training_step(torch, 'lenet5', _sgd(torch, 0.01, 0.9), (64, 1, 28, 28))


def time_resnet20_step(torch):
    return _training_step(torch, 'resnet20', _sgd(torch, 0.01, 0.9), (32, 3, 32, 32))


def _predict(torch, name, shape):
    model = make_model(torch, name).eval()
    pool = _batches(torch, shape)

    def step():
        with torch.no_grad():
            return model(next(pool)[0])

    return step


def time_lenet5_predict(torch):
    return _predict(torch, 'lenet5', (64, 1, 28, 28))


def time_lenet5_predict_1(torch):
    return _predict(torch, 'lenet5', (1, 1, 28, 28))


def time_lenet5_predict_16(torch):
    return _predict(torch, 'lenet5', (16, 1, 28, 28))


def time_resnet20_predict(torch):
    return _predict(torch, 'resnet20', (32, 3, 32, 32))


def _update(torch, optimizer):
    model = make_model(torch, 'resnet20')
    named = named_parameters(model)
    for path, param in named:
        param.grad = torch.from_numpy(initial_value(path, tuple(param.shape)))
    optimizer = optimizer([param for _, param in named])
    params = tuple(param for _, param in named)

    def step():
        optimizer.step()
        return params

    return step


def time_sgd_update(torch):
    return _update(torch, _sgd(torch, 0.01))


def time_momentum_sgd_update(torch):
    return _update(torch, _sgd(torch, 0.01, 0.9))


def time_adam_update(torch):
    return _update(torch, lambda params: torch.optim.Adam(params))


# Layers by shape; larger networks.
globals().update(layer_cases.torch_cases())
globals().update(network_cases.torch_cases())
