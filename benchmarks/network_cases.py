"""Networks, for chainlite and Chainer (`chainer_cases`) and PyTorch (`torch_cases`): steps, predictions, updates.

A network is a table of its layers. A training step is forward, loss, backward and update, each with a batch that the
step before did not see. This file runs under Chainer's own, older Python too, so it keeps to syntax of Python 3.8.
"""

import itertools

import numpy as np
from inputs import arrays, batches, initial_value

# The layers of a network by name, in order; each takes what the one before gave.
#   conv, deconv: filters, size, stride, pad     pool: window, stride     bottleneck: width, filters, stride
#   inception: filters of the 1 x 1, of those before the 3 x 3, the 3 x 3, before the 5 x 5, the 5 x 5, after pooling
#   basic: filters, stride, and whether the shortcut across a change of size is a convolution
LENET = [
    ('conv', 20, 5, 1, 0),
    ('pool', 2, 2),
    ('conv', 50, 5, 1, 0),
    ('pool', 2, 2),
    ('fc', 500),
    ('relu',),
    ('fc', 10),
]
VGG16 = [
    *itertools.chain.from_iterable(
        [*[('conv', n, 3, 1, 1), ('relu',)] * times, ('pool', 2, 2)]
        for n, times in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
    ),
    *[('fc', 4096), ('relu',), ('fc', 4096), ('relu',), ('fc', 1000)],
]
RESNET50 = [
    *[('conv_bn', 64, 7, 2, 3), ('relu',), ('pool', 3, 2)],
    *itertools.chain.from_iterable(
        [('bottleneck', width, 4 * width, stride), *[('bottleneck', width, 4 * width, 1)] * more]
        for width, stride, more in [(64, 1, 2), (128, 2, 3), (256, 2, 5), (512, 2, 2)]
    ),
    *[('average', 7), ('fc', 1000)],
]
GOOGLENET = [
    *[('conv', 64, 7, 2, 3), ('relu',), ('pool', 3, 2), ('lrn',)],
    *[('conv', 64, 1, 1, 0), ('relu',), ('conv', 192, 3, 1, 1), ('relu',), ('lrn',), ('pool', 3, 2)],
    *[('inception', 64, 96, 128, 16, 32, 32), ('inception', 128, 128, 192, 32, 96, 64), ('pool', 3, 2)],
    *[('inception', 192, 96, 208, 16, 48, 64), ('inception', 160, 112, 224, 24, 64, 64)],
    *[('inception', 128, 128, 256, 24, 64, 64), ('inception', 112, 144, 288, 32, 64, 64)],
    *[('inception', 256, 160, 320, 32, 128, 128), ('pool', 3, 2)],
    *[('inception', 256, 160, 320, 32, 128, 128), ('inception', 384, 192, 384, 48, 128, 128)],
    *[('average', 7), ('fc', 1000)],
]
# The generator; it takes a vector as an image of one pixel.
DCGAN = [
    *itertools.chain.from_iterable(
        [('deconv_bn', n, 4, stride, pad), ('relu',)]
        for n, stride, pad in [(512, 1, 0), (256, 2, 1), (128, 2, 1), (64, 2, 1)]
    ),
    *[('deconv', 3, 4, 2, 1), ('tanh',)],
]


def _resnet20(projections):
    blocks = [('basic', n, stride, projections) for n in (16, 32, 64) for stride in (1 if n == 16 else 2, 1, 1)]
    return [('conv_bn', 16, 3, 1, 1), ('relu',), *blocks, ('average', 8), ('fc', 10)]


# name: layers, shape of an example, number of classes (or shape of the image to be made)
NETWORKS = {
    'mlp': ([('fc', 100), ('relu',), ('fc', 10)], (784,), 10),
    'lenet': (LENET, (1, 28, 28), 10),
    'resnet20': (_resnet20(False), (3, 32, 32), 10),
    'resnet20_projections': (_resnet20(True), (3, 32, 32), 10),
    'vgg16': (VGG16, (3, 224, 224), 1000),
    'resnet50': (RESNET50, (3, 224, 224), 1000),
    'googlenet': (GOOGLENET, (3, 224, 224), 1000),
    'dcgan': (DCGAN, (100, 1, 1), (3, 64, 64)),
}
# name and batch size
STEPS = [
    *[('mlp', 100), ('lenet', 64), ('resnet20', 128), ('resnet20_projections', 128)],
    *[('vgg16', 8), ('resnet50', 16), ('googlenet', 16), ('dcgan', 64)],
]
PREDICTIONS = list(itertools.product(NETWORKS, [1, 16]))
PARAMETERS = 50, (500, 1000)  # number and shape: 25 million in all


def images(case):
    """The number of examples that a case works on; None if it is none of these."""
    for kind, rows in [('net', STEPS), ('predict', PREDICTIONS)]:
        for name, n in rows:
            if case == f'{kind}_{name}_{n}':
                return n
    return None


def _cases(step, predict, update):
    cases = {}
    for name, n in STEPS:
        cases[f'time_net_{name}_{n}'] = lambda library, name=name, n=n: step(library, n, *NETWORKS[name])
    for name, n in PREDICTIONS:
        cases[f'time_predict_{name}_{n}'] = lambda library, name=name, n=n: predict(library, n, *NETWORKS[name])
    for name in ['SGD', 'Adam']:
        cases[f'time_{name.lower()}_25m'] = lambda library, name=name: update(library, name)
    return cases


def _examples(n, shape, target):
    """A few batches to go round: pairs of x and labels, or x and images."""
    if isinstance(target, int):
        return batches(n, *shape, classes=target, number=3)
    return [tuple(arrays((n, *shape), (n, *target))) for _ in range(3)]


# -- chainlite and Chainer --------------------------------------------------------------------------------------------


def chainer_cases():
    """{'time_...': function of the library} for every row of the tables."""
    return _cases(_chainer_step, _chainer_predict, _chainer_update)


def chainer_network(chainer, layers, shape):
    """A chain of the layers of a table for inputs of a shape, initialized by the names of its parameters."""
    L, F = chainer.links, chainer.functions

    class ConvBN(chainer.Chain):
        def __init__(self, link, c, m, k, stride, pad):
            super().__init__()
            with self.init_scope():
                self.conv = link(c, m, k, stride, pad, nobias=True)
                self.bn = L.BatchNormalization(m)

        def forward(self, x):
            return self.bn(self.conv(x))

    class Bottleneck(chainer.Chain):
        def __init__(self, c, width, m, stride):
            super().__init__()
            with self.init_scope():
                self.a = ConvBN(L.Convolution2D, c, width, 1, 1, 0)
                self.b = ConvBN(L.Convolution2D, width, width, 3, stride, 1)
                self.c = ConvBN(L.Convolution2D, width, m, 1, 1, 0)
                self.d = ConvBN(L.Convolution2D, c, m, 1, stride, 0) if c != m else None

        def forward(self, x):
            h = self.c(F.relu(self.b(F.relu(self.a(x)))))
            return F.relu(h + (x if self.d is None else self.d(x)))

    class Basic(chainer.Chain):
        def __init__(self, c, m, stride, projection):
            super().__init__()
            self.more = m - c
            with self.init_scope():
                self.a = ConvBN(L.Convolution2D, c, m, 3, stride, 1)
                self.b = ConvBN(L.Convolution2D, m, m, 3, 1, 1)
                self.d = ConvBN(L.Convolution2D, c, m, 1, stride, 0) if projection and c != m else None

        def forward(self, x):
            h = self.b(F.relu(self.a(x)))
            if self.d is not None:
                x = self.d(x)
            elif self.more:
                x = F.pad(F.max_pooling_2d(x, 2, 2), ((0, 0), (0, self.more), (0, 0), (0, 0)), 'constant')
            return F.relu(h + x)

    make = {
        'conv': lambda x, *row: L.Convolution2D(x.shape[1], *row),
        'deconv': lambda x, *row: L.Deconvolution2D(x.shape[1], *row),
        'conv_bn': lambda x, *row: ConvBN(L.Convolution2D, x.shape[1], *row),
        'deconv_bn': lambda x, *row: ConvBN(L.Deconvolution2D, x.shape[1], *row),
        'bottleneck': lambda x, *row: Bottleneck(x.shape[1], *row),
        'basic': lambda x, *row: Basic(x.shape[1], *row),
        'inception': lambda x, *row: L.Inception(x.shape[1], *row),
        'lrn': lambda x: F.local_response_normalization,
        'fc': lambda x, m: L.Linear(x.size, m),
        'relu': lambda x: F.relu,
        'tanh': lambda x: F.tanh,
        'pool': lambda x, k, stride: lambda x: F.max_pooling_2d(x, k, stride, k // 3, False),
        'average': lambda x, k: lambda x: F.average_pooling_2d(x, k),
    }

    class Network(chainer.Chain):
        def __init__(self):
            super().__init__()
            self.layers = []
            x = chainer.Variable(np.zeros((1,) + shape, np.float32))
            with self.init_scope():
                for i, (kind, *row) in enumerate(layers):
                    layer = make[kind](x, *row)
                    if isinstance(layer, chainer.Link):
                        setattr(self, f'l{i}', layer)
                    self.layers.append(layer)
                    with chainer.using_config('train', False), chainer.no_backprop_mode():
                        x = layer(x)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    model = Network()
    for path, param in model.namedparams():
        value = initial_value(path, param.shape)
        param.array[...] = value
    return model


def _chainer_step(chainer, n, layers, shape, target):
    model = chainer_network(chainer, layers, shape)
    optimizer = chainer.optimizers.MomentumSGD(1e-4)
    optimizer.setup(model)
    pool = itertools.cycle(_examples(n, shape, target))
    F = chainer.functions
    measure = F.softmax_cross_entropy if isinstance(target, int) else F.mean_squared_error

    def step():
        x, t = next(pool)
        loss = measure(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return step


def _chainer_predict(chainer, n, layers, shape, target):
    model = chainer_network(chainer, layers, shape)
    pool = itertools.cycle(_examples(n, shape, target))

    def step():
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            return model(next(pool)[0])

    return step


def _chainer_update(chainer, name):
    number, shape = PARAMETERS
    model = chainer.ChainList()
    for i, a in enumerate(arrays(*[shape] * number)):
        link = chainer.Link()
        with link.init_scope():
            link.W = chainer.Parameter(a)
        link.W.grad = a * (i + 1)
        model.append(link)
    optimizer = getattr(chainer.optimizers, name)(0.001)
    optimizer.setup(model)

    def step():
        optimizer.update()
        return model[0].W, model[number - 1].W

    return step


# -- PyTorch ----------------------------------------------------------------------------------------------------------


def torch_cases():
    """The same for PyTorch."""
    return _cases(_torch_step, _torch_predict, _torch_update)


def torch_network(torch, layers, shape):
    """The same network in PyTorch, with Chainer's names of the submodules."""
    from torch_cases import named_parameters

    nn, F = torch.nn, torch.nn.functional

    class ConvBN(nn.Module):
        def __init__(self, link, c, m, k, stride, pad):
            super().__init__()
            self.conv = link(c, m, k, stride, pad, bias=False)
            self.bn = nn.BatchNorm2d(m, eps=2e-5, momentum=0.1)

        def forward(self, x):
            return self.bn(self.conv(x))

    class Bottleneck(nn.Module):
        def __init__(self, c, width, m, stride):
            super().__init__()
            self.a = ConvBN(nn.Conv2d, c, width, 1, 1, 0)
            self.b = ConvBN(nn.Conv2d, width, width, 3, stride, 1)
            self.c = ConvBN(nn.Conv2d, width, m, 1, 1, 0)
            self.d = ConvBN(nn.Conv2d, c, m, 1, stride, 0) if c != m else None

        def forward(self, x):
            h = self.c(F.relu(self.b(F.relu(self.a(x)))))
            return F.relu(h + (x if self.d is None else self.d(x)))

    class Basic(nn.Module):
        def __init__(self, c, m, stride, projection):
            super().__init__()
            self.more = m - c
            self.a = ConvBN(nn.Conv2d, c, m, 3, stride, 1)
            self.b = ConvBN(nn.Conv2d, m, m, 3, 1, 1)
            self.d = ConvBN(nn.Conv2d, c, m, 1, stride, 0) if projection and c != m else None

        def forward(self, x):
            h = self.b(F.relu(self.a(x)))
            if self.d is not None:
                x = self.d(x)
            elif self.more:
                x = F.pad(F.max_pool2d(x, 2), (0, 0, 0, 0, 0, self.more))
            return F.relu(h + x)

    class Inception(nn.Module):
        def __init__(self, c, m1, reduced3, m3, reduced5, m5, pooled):
            super().__init__()
            self.conv1 = nn.Conv2d(c, m1, 1)
            self.proj3, self.conv3 = nn.Conv2d(c, reduced3, 1), nn.Conv2d(reduced3, m3, 3, padding=1)
            self.proj5, self.conv5 = nn.Conv2d(c, reduced5, 1), nn.Conv2d(reduced5, m5, 5, padding=2)
            self.projp = nn.Conv2d(c, pooled, 1)

        def forward(self, x):
            y3, y5 = self.conv3(F.relu(self.proj3(x))), self.conv5(F.relu(self.proj5(x)))
            return F.relu(torch.cat([self.conv1(x), y3, y5, self.projp(F.max_pool2d(x, 3, 1, 1))], 1))

    make = {
        'conv': lambda x, *row: nn.Conv2d(x.shape[1], *row),
        'deconv': lambda x, *row: nn.ConvTranspose2d(x.shape[1], *row),
        'conv_bn': lambda x, *row: ConvBN(nn.Conv2d, x.shape[1], *row),
        'deconv_bn': lambda x, *row: ConvBN(nn.ConvTranspose2d, x.shape[1], *row),
        'bottleneck': lambda x, *row: Bottleneck(x.shape[1], *row),
        'basic': lambda x, *row: Basic(x.shape[1], *row),
        'inception': lambda x, *row: Inception(x.shape[1], *row),
        'lrn': lambda x: lambda x: F.local_response_norm(x, 5, 5e-4, 0.75, 2.0),
        'fc': lambda x, m: nn.Linear(x.numel(), m),
        'relu': lambda x: F.relu,
        'tanh': lambda x: torch.tanh,
        'pool': lambda x, k, stride: lambda x: F.max_pool2d(x, k, stride, k // 3),
        'average': lambda x, k: lambda x: F.avg_pool2d(x, k),
    }

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = []
            x = torch.zeros((1,) + shape)
            for i, (kind, *row) in enumerate(layers):
                layer = make[kind](x, *row)
                if isinstance(layer, nn.Module):
                    setattr(self, f'l{i}', layer.eval())
                self.layers.append((kind, layer))
                with torch.no_grad():
                    x = layer(x.flatten(1) if kind == 'fc' else x)
            self.train()

        def forward(self, x):
            for kind, layer in self.layers:
                x = layer(x.flatten(1) if kind == 'fc' else x)
            return x

    model = Network()
    for path, param in named_parameters(model):
        param.data = torch.from_numpy(initial_value(path, tuple(param.shape)))
    return model


def _torch_examples(torch, n, shape, target):
    pairs = [(torch.from_numpy(x), torch.from_numpy(t)) for x, t in _examples(n, shape, target)]
    return itertools.cycle([(x, t.long() if t.ndim == 1 else t) for x, t in pairs])


def _torch_step(torch, n, layers, shape, target):
    model = torch_network(torch, layers, shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    pool = _torch_examples(torch, n, shape, target)
    F = torch.nn.functional
    measure = F.cross_entropy if isinstance(target, int) else F.mse_loss

    def step():
        x, t = next(pool)
        loss = measure(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _torch_predict(torch, n, layers, shape, target):
    model = torch_network(torch, layers, shape).eval()
    pool = _torch_examples(torch, n, shape, target)

    def step():
        with torch.no_grad():
            return model(next(pool)[0])

    return step


def _torch_update(torch, name):
    number, shape = PARAMETERS
    params = []
    for i, a in enumerate(arrays(*[shape] * number)):
        params.append(torch.from_numpy(a).requires_grad_())
        params[-1].grad = torch.from_numpy(a * (i + 1))
    optimizer = getattr(torch.optim, name)(params, lr=0.001)

    def step():
        optimizer.step()
        return params[0], params[-1]

    return step
