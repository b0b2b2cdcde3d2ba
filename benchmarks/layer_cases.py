"""Layers by shape and larger networks, for chainlite and Chainer (`chainer_cases`) and PyTorch (`torch_cases`).

The tables say what is timed; forward and backward together. Inputs and gradients are made before the clock starts.
This file runs under Chainer's own, older Python too, so it keeps to syntax of Python 3.8.
"""

import itertools

import numpy as np
from inputs import arrays, batches, initial_value

# name: x (n, c, h, w), filters, size, stride, pad, groups, dilation
CONVOLUTIONS = {
    'lenet5_1': ((64, 1, 28, 28), 6, 5, 1, 0),
    'lenet5_2': ((64, 6, 12, 12), 16, 5, 1, 0),
    'lenet_1': ((64, 1, 28, 28), 20, 5, 1, 0),
    'lenet_2': ((64, 20, 12, 12), 50, 5, 1, 0),
    'resnet20_first': ((128, 3, 32, 32), 16, 3, 1, 1),
    'resnet20_16': ((128, 16, 32, 32), 16, 3, 1, 1),
    'resnet20_32_down': ((128, 16, 32, 32), 32, 3, 2, 1),
    'resnet20_32': ((128, 32, 16, 16), 32, 3, 1, 1),
    'resnet20_64': ((128, 64, 8, 8), 64, 3, 1, 1),
    'resnet50_first': ((16, 3, 224, 224), 64, 7, 2, 3),
    'resnet50_1x1_256': ((16, 64, 56, 56), 256, 1, 1, 0),
    'resnet50_3x3_64': ((16, 64, 56, 56), 64, 3, 1, 1),
    'resnet50_1x1_down': ((16, 256, 56, 56), 512, 1, 2, 0),
    'resnet50_3x3_256': ((16, 256, 14, 14), 256, 3, 1, 1),
    'resnet50_1x1_2048': ((16, 512, 7, 7), 2048, 1, 1, 0),
    'depthwise': ((16, 128, 28, 28), 128, 3, 1, 1, 128),
    'dilated': ((16, 64, 28, 28), 64, 3, 1, 2, 1, 2),
}
DECONVOLUTIONS = {'dcgan_1': ((64, 256, 8, 8), 128, 4, 2, 1), 'dcgan_2': ((64, 128, 16, 16), 64, 4, 2, 1)}
# name: x, window, stride, pad
MAX_POOLINGS = {
    'lenet': ((64, 20, 24, 24), 2, 2, 0),
    'resnet50': ((16, 64, 112, 112), 3, 2, 1),
    'vgg16': ((8, 64, 224, 224), 2, 2, 0),
}
NORMALIZATIONS = {
    'resnet20_16': (128, 16, 32, 32),
    'resnet20_64': (128, 64, 8, 8),
    'resnet50_64': (16, 64, 112, 112),
    'resnet50_1024': (16, 1024, 14, 14),
}
# name: n, in, out
LINEARS = {'mlp': (100, 784, 100), 'lenet': (64, 800, 500), 'resnet50': (16, 2048, 1000), 'vgg16': (8, 25088, 4096)}

# The layers of a network by name, in order; each takes what the one before gave.
#   conv: filters, size, stride, pad        pool: window, stride        bottleneck: width, filters, stride
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
NETWORKS = {
    'lenet_64': (LENET, (64, 1, 28, 28), 10),
    'vgg16_8': (VGG16, (8, 3, 224, 224), 1000),
    'resnet50_16': (RESNET50, (16, 3, 224, 224), 1000),
}


# -- chainlite and Chainer --------------------------------------------------------------------------------------------


def chainer_cases():
    """{'time_...': function of the library} for every row of the tables."""
    cases = {}
    for name, row in CONVOLUTIONS.items():
        cases['time_conv_' + name] = lambda chainer, row=row: _chainer_convolution(chainer, *row)
    for name, row in DECONVOLUTIONS.items():
        cases['time_deconv_' + name] = lambda chainer, row=row: _chainer_deconvolution(chainer, *row)
    for name, row in MAX_POOLINGS.items():
        cases['time_max_pool_' + name] = lambda chainer, row=row: _chainer_max_pooling(chainer, *row)
    for name, row in NORMALIZATIONS.items():
        cases['time_bn_relu_' + name] = lambda chainer, row=row: _chainer_normalization(chainer, row)
    for name, row in LINEARS.items():
        cases['time_linear_' + name] = lambda chainer, row=row: _chainer_linear(chainer, *row)
    for name, row in NETWORKS.items():
        cases['time_net_' + name] = lambda chainer, row=row: _chainer_step(chainer, *row)
    return cases


def _chainer_layer(chainer, function, *shapes):
    # What a layer gets and gives inside of a network: the arrays of chainlite's own functions may be channels last, and
    # become C-contiguous when they are looked at, as happens here to the results of the first steps.
    inputs = [chainer.Variable(a) for a in arrays(*shapes)]
    gy = arrays(function(*inputs).shape)[0]

    def step():
        for x in inputs:
            x.cleargrad()
        y = function(*inputs)
        y.grad = gy
        y.backward()
        return tuple([y] + [x.grad_var for x in inputs])

    return step


def _chainer_convolution(chainer, x, m, k, stride, pad, groups=1, dilate=1):
    def function(x, W):
        return chainer.functions.convolution_2d(x, W, stride=stride, pad=pad, groups=groups, dilate=dilate)

    return _chainer_layer(chainer, function, x, (m, x[1] // groups, k, k))


def _chainer_deconvolution(chainer, x, m, k, stride, pad):
    def function(x, W):
        return chainer.functions.deconvolution_2d(x, W, stride=stride, pad=pad)

    return _chainer_layer(chainer, function, x, (x[1], m, k, k))


def _chainer_max_pooling(chainer, x, k, stride, pad):
    return _chainer_layer(chainer, lambda x: chainer.functions.max_pooling_2d(x, k, stride, pad, False), x)


def _chainer_normalization(chainer, x):
    F = chainer.functions
    return _chainer_layer(chainer, lambda x, g, b: F.relu(F.batch_normalization(x, g, b)), x, (x[1],), (x[1],))


def _chainer_linear(chainer, n, c, m):
    return _chainer_layer(chainer, chainer.functions.linear, (n, c), (m, c), (m,))


def chainer_network(chainer, layers):
    """A chain of the layers of a table, initialized by the names of its parameters."""
    L, F = chainer.links, chainer.functions

    class ConvBN(chainer.Chain):
        def __init__(self, c, m, k, stride, pad):
            super().__init__()
            with self.init_scope():
                self.conv = L.Convolution2D(c, m, k, stride, pad, nobias=True)
                self.bn = L.BatchNormalization(m)

        def forward(self, x):
            return self.bn(self.conv(x))

    class Bottleneck(chainer.Chain):
        def __init__(self, c, width, m, stride):
            super().__init__()
            with self.init_scope():
                self.a = ConvBN(c, width, 1, 1, 0)
                self.b = ConvBN(width, width, 3, stride, 1)
                self.c = ConvBN(width, m, 1, 1, 0)
                self.d = ConvBN(c, m, 1, stride, 0) if c != m else None

        def forward(self, x):
            h = self.c(F.relu(self.b(F.relu(self.a(x)))))
            return F.relu(h + (x if self.d is None else self.d(x)))

    class Network(chainer.Chain):
        def __init__(self, shape):
            super().__init__()
            self.layers = []
            x = chainer.Variable(np.zeros((1,) + shape[1:], np.float32))
            with self.init_scope():
                for i, (kind, *row) in enumerate(layers):
                    layer = getattr(self, '_' + kind)(x, *row)
                    if isinstance(layer, chainer.Link):
                        setattr(self, f'l{i}', layer)
                    self.layers.append(layer)
                    with chainer.using_config('train', False), chainer.no_backprop_mode():
                        x = layer(x)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

        def _conv(self, x, m, k, stride, pad):
            return L.Convolution2D(x.shape[1], m, k, stride, pad)

        def _conv_bn(self, x, *row):
            return ConvBN(x.shape[1], *row)

        def _bottleneck(self, x, *row):
            return Bottleneck(x.shape[1], *row)

        def _fc(self, x, m):
            return L.Linear(x.size, m)

        def _relu(self, x):
            return F.relu

        def _pool(self, x, k, stride):
            return lambda x: F.max_pooling_2d(x, k, stride, k // 3, False)

        def _average(self, x, k):
            return lambda x: F.average_pooling_2d(x, k)

    return Network


def _chainer_step(chainer, layers, shape, classes):
    model = chainer_network(chainer, layers)(shape)
    for path, param in model.namedparams():
        param.array[...] = initial_value(path, param.shape)
    optimizer = chainer.optimizers.MomentumSGD(1e-4)
    optimizer.setup(model)
    pool = itertools.cycle(batches(*shape, classes=classes, number=3))

    def step():
        x, t = next(pool)
        loss = chainer.functions.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return step


# -- PyTorch ----------------------------------------------------------------------------------------------------------


def torch_cases():
    """The same for PyTorch."""
    cases = {}
    for name, row in CONVOLUTIONS.items():
        cases['time_conv_' + name] = lambda torch, row=row: _torch_convolution(torch, *row)
    for name, row in DECONVOLUTIONS.items():
        cases['time_deconv_' + name] = lambda torch, row=row: _torch_deconvolution(torch, *row)
    for name, row in MAX_POOLINGS.items():
        cases['time_max_pool_' + name] = lambda torch, row=row: _torch_max_pooling(torch, *row)
    for name, row in NORMALIZATIONS.items():
        cases['time_bn_relu_' + name] = lambda torch, row=row: _torch_normalization(torch, row)
    for name, row in LINEARS.items():
        cases['time_linear_' + name] = lambda torch, row=row: _torch_linear(torch, *row)
    for name, row in NETWORKS.items():
        cases['time_net_' + name] = lambda torch, row=row: _torch_step(torch, *row)
    return cases


def _torch_layer(torch, function, *shapes):
    inputs = [torch.from_numpy(a).requires_grad_() for a in arrays(*shapes)]
    gy = torch.from_numpy(arrays(tuple(function(*inputs).shape))[0])

    def step():
        for x in inputs:
            x.grad = None
        y = function(*inputs)
        y.backward(gy)
        return tuple([y] + [x.grad for x in inputs])

    return step


def _torch_convolution(torch, x, m, k, stride, pad, groups=1, dilate=1):
    def function(x, W):
        return torch.nn.functional.conv2d(x, W, None, stride, pad, dilate, groups)

    return _torch_layer(torch, function, x, (m, x[1] // groups, k, k))


def _torch_deconvolution(torch, x, m, k, stride, pad):
    def function(x, W):
        return torch.nn.functional.conv_transpose2d(x, W, None, stride, pad)

    return _torch_layer(torch, function, x, (x[1], m, k, k))


def _torch_max_pooling(torch, x, k, stride, pad):
    return _torch_layer(torch, lambda x: torch.nn.functional.max_pool2d(x, k, stride, pad), x)


def _torch_normalization(torch, x):
    def function(x, g, b):
        return torch.relu(torch.nn.functional.batch_norm(x, None, None, g, b, True, 0.1, 2e-5))

    return _torch_layer(torch, function, x, (x[1],), (x[1],))


def _torch_linear(torch, n, c, m):
    return _torch_layer(torch, torch.nn.functional.linear, (n, c), (m, c), (m,))


def torch_network(torch, layers):
    """The same network in PyTorch, with Chainer's names of the submodules."""
    nn, F = torch.nn, torch.nn.functional

    class ConvBN(nn.Module):
        def __init__(self, c, m, k, stride, pad):
            super().__init__()
            self.conv = nn.Conv2d(c, m, k, stride, pad, bias=False)
            self.bn = nn.BatchNorm2d(m, eps=2e-5, momentum=0.1)

        def forward(self, x):
            return self.bn(self.conv(x))

    class Bottleneck(nn.Module):
        def __init__(self, c, width, m, stride):
            super().__init__()
            self.a = ConvBN(c, width, 1, 1, 0)
            self.b = ConvBN(width, width, 3, stride, 1)
            self.c = ConvBN(width, m, 1, 1, 0)
            self.d = ConvBN(c, m, 1, stride, 0) if c != m else None

        def forward(self, x):
            h = self.c(F.relu(self.b(F.relu(self.a(x)))))
            return F.relu(h + (x if self.d is None else self.d(x)))

    def make(kind, x, *row):
        return {
            'conv': lambda m, *window: nn.Conv2d(x.shape[1], m, *window),
            'conv_bn': lambda *row: ConvBN(x.shape[1], *row),
            'bottleneck': lambda *row: Bottleneck(x.shape[1], *row),
            'fc': lambda m: nn.Linear(x.numel(), m),
            'relu': lambda: F.relu,
            'pool': lambda k, stride: lambda x: F.max_pool2d(x, k, stride, k // 3),
            'average': lambda k: lambda x: F.avg_pool2d(x, k),
        }[kind](*row)

    class Network(nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.layers = []
            x = torch.zeros((1,) + shape[1:])
            for i, (kind, *row) in enumerate(layers):
                layer = make(kind, x, *row)
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

    return Network


def _torch_step(torch, layers, shape, classes):
    from torch_cases import _named_parameters

    model = torch_network(torch, layers)(shape)
    with torch.no_grad():
        for path, param in _named_parameters(model):
            param.copy_(torch.from_numpy(initial_value(path, tuple(param.shape))))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    pool = [(torch.from_numpy(x), torch.from_numpy(t).long()) for x, t in batches(*shape, classes=classes, number=3)]
    pool = itertools.cycle(pool)

    def step():
        x, t = next(pool)
        loss = torch.nn.functional.cross_entropy(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step
