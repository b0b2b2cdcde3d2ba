"""Layers by shape, for chainlite and Chainer (`chainer_cases`) and PyTorch (`torch_cases`).

The tables say what is timed; forward and backward together. Inputs and gradients are made before the clock starts.
This file runs under Chainer's own, older Python too, so it keeps to syntax of Python 3.8.
"""

from inputs import arrays

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
IMAGES = ('conv_', 'deconv_', 'max_pool_', 'bn_relu_')  # whose rows have layouts
LINEARS = {'mlp': (100, 784, 100), 'lenet': (64, 800, 500), 'resnet50': (16, 2048, 1000), 'vgg16': (8, 25088, 4096)}


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
    return cases


def _chainer_layer(chainer, function, *shapes):
    # What a layer gets and gives inside of a network: the arrays of chainlite's own functions may be channels last, and
    # become C-contiguous when they are looked at, as happens here to the results of the first steps.
    inputs = [chainer.Variable(a) for a in arrays(*shapes)]
    gy = chainer.Variable(arrays(function(*inputs).shape)[0]).array

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
