"""What is timed, written once for chainlite and for Chainer.

Each ``time_*`` takes the library as a module and returns ``step``, a function that does the work once and returns
what the harness compares between frameworks: a Variable, an array or a tuple of them. ``torch_cases`` has the same
names in PyTorch. This file runs under Chainer's own, older Python too, so it keeps to syntax of Python 3.8.
"""

import itertools

import layer_cases
import network_cases
import numpy as np
from inputs import arrays, batches, initial_value

SMALL = 10, 10
IMAGES = 32, 16, 32, 32


# Small arrays: host time of the graph.


def _operation(chainer, function, *shapes):
    """Forward and backward of one function; the inputs' gradients and the output are compared."""
    inputs = [chainer.Variable(a) for a in arrays(*shapes)]
    gy = np.ones_like(function(*inputs).array)

    def step():
        for x in inputs:
            x.cleargrad()
        y = function(*inputs)
        y.grad = gy
        y.backward()
        return tuple([y] + [x.grad for x in inputs])

    return step


def time_add(chainer):
    return _operation(chainer, lambda x, y: x + y, SMALL, SMALL)


def time_relu(chainer):
    return _operation(chainer, chainer.functions.relu, SMALL)


def time_reshape(chainer):
    return _operation(chainer, lambda x: chainer.functions.reshape(x, (4, 25)), SMALL)


def time_sum(chainer):
    return _operation(chainer, chainer.functions.sum, SMALL)


def time_chain_100(chainer):
    relu = chainer.functions.relu

    def chain(x, y):
        for _ in range(50):
            x = relu(x) + y
        return x

    return _operation(chainer, chain, SMALL, SMALL)


# Kernels: one function on arrays of a usual size.


def time_relu_large(chainer):
    return _operation(chainer, chainer.functions.relu, IMAGES)


def time_sigmoid_large(chainer):
    return _operation(chainer, chainer.functions.sigmoid, IMAGES)


def time_dropout_eval_add_large(chainer):
    def function(x, y):
        with chainer.using_config('train', False):
            return chainer.functions.dropout(x) + y

    return _operation(chainer, function, IMAGES, IMAGES)


def time_max_pooling(chainer):
    return _operation(chainer, lambda x: chainer.functions.max_pooling_2d(x, 2, 2), IMAGES)


def time_average_pooling(chainer):
    return _operation(chainer, lambda x: chainer.functions.average_pooling_2d(x, 2, 2), IMAGES)


def time_convolution(chainer):
    return _operation(
        chainer, lambda x, W, b: chainer.functions.convolution_2d(x, W, b, pad=1), IMAGES, (16, 16, 3, 3), (16,)
    )


def time_deconvolution(chainer):
    return _operation(
        chainer,
        lambda x, W: chainer.functions.deconvolution_2d(x, W, stride=2, pad=1),
        (32, 16, 16, 16),
        (16, 16, 4, 4),
    )


def time_linear(chainer):
    return _operation(chainer, chainer.functions.linear, (100, 784), (100, 784), (100,))


def time_batch_normalization(chainer):
    def function(x, gamma, beta):
        return chainer.functions.batch_normalization(x, gamma, beta)

    return _operation(chainer, function, IMAGES, (16,), (16,))


def time_concat_large(chainer):
    return _operation(chainer, lambda x, y: chainer.functions.concat((x, y)), IMAGES, IMAGES)


def time_softmax_cross_entropy(chainer):
    t = np.arange(100, dtype=np.int32) % 10
    return _operation(chainer, lambda x: chainer.functions.softmax_cross_entropy(x, t), (100, 10))


def time_lstm_cell(chainer):
    def function(c, x):
        c, h = chainer.functions.lstm(c, x)
        return c + h

    return _operation(chainer, function, (32, 128), (32, 512))


# Whole training steps: forward, loss, backward and update, with a fresh batch each.


def chains(chainer):
    L, F = chainer.links, chainer.functions

    class MLP(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.l1 = L.Linear(784, 100)
                self.l2 = L.Linear(100, 10)

        def forward(self, x):
            return self.l2(F.relu(self.l1(x)))

    class LeNet5(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.conv1 = L.Convolution2D(1, 6, 5)
                self.conv2 = L.Convolution2D(6, 16, 5)
                self.conv3 = L.Convolution2D(16, 120, 4)
                self.fc4 = L.Linear(120, 84)
                self.fc5 = L.Linear(84, 10)

        def forward(self, x):
            h = F.max_pooling_2d(F.relu(self.conv1(x)), 2, 2)
            h = F.max_pooling_2d(F.relu(self.conv2(h)), 2, 2)
            h = F.relu(self.conv3(h))
            return self.fc5(F.relu(self.fc4(h)))

    class Block(chainer.Chain):
        def __init__(self, n_in, n_out):
            super().__init__()
            self.stride, self.more = n_out // n_in, n_out - n_in
            with self.init_scope():
                self.conv1 = L.Convolution2D(n_in, n_out, 3, self.stride, 1, nobias=True)
                self.bn1 = L.BatchNormalization(n_out)
                self.conv2 = L.Convolution2D(n_out, n_out, 3, 1, 1, nobias=True)
                self.bn2 = L.BatchNormalization(n_out)

        def forward(self, x):
            h = F.relu(self.bn1(self.conv1(x)))
            h = self.bn2(self.conv2(h))
            if self.more:
                x = F.max_pooling_2d(x, 2, 2)
                x = F.pad(x, ((0, 0), (0, self.more), (0, 0), (0, 0)), 'constant')
            return F.relu(h + x)

    class ResNet20(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.conv = L.Convolution2D(3, 16, 3, 1, 1, nobias=True)
                self.bn = L.BatchNormalization(16)
                self.blocks = chainer.ChainList(
                    *[
                        Block(n_in, n_out)
                        for n_in, n_out in [(16, 16)] * 3 + [(16, 32)] + [(32, 32)] * 2 + [(32, 64)] + [(64, 64)] * 2
                    ]
                )
                self.fc = L.Linear(64, 10)

        def forward(self, x):
            h = F.relu(self.bn(self.conv(x)))
            for block in self.blocks:
                h = block(h)
            return self.fc(F.average_pooling_2d(h, 8))

    return {'mlp': MLP, 'lenet5': LeNet5, 'resnet20': ResNet20}


def make_model(chainer, name, seed=0):
    model = chains(chainer)[name]()
    for path, param in model.namedparams():
        param.array[...] = initial_value(path, param.shape, seed)
    return model


def _training_step(chainer, name, optimizer, shape):
    model = make_model(chainer, name)
    optimizer.setup(model)
    pool = itertools.cycle(batches(*shape))

    def step():
        x, t = next(pool)
        loss = chainer.functions.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return step


def time_mlp_step(chainer):
    return _training_step(chainer, 'mlp', chainer.optimizers.SGD(0.1), (100, 784))


def time_lenet5_step(chainer):
    return _training_step(chainer, 'lenet5', chainer.optimizers.MomentumSGD(0.01), (64, 1, 28, 28))


def time_resnet20_step(chainer):
    return _training_step(chainer, 'resnet20', chainer.optimizers.MomentumSGD(0.01), (32, 3, 32, 32))


def _predict(chainer, name, shape):
    model = make_model(chainer, name)
    pool = itertools.cycle(batches(*shape))

    def step():
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            return model(next(pool)[0])

    return step


def time_lenet5_predict(chainer):
    return _predict(chainer, 'lenet5', (64, 1, 28, 28))


def time_lenet5_predict_1(chainer):
    return _predict(chainer, 'lenet5', (1, 1, 28, 28))


def time_lenet5_predict_16(chainer):
    return _predict(chainer, 'lenet5', (16, 1, 28, 28))


def time_resnet20_predict(chainer):
    return _predict(chainer, 'resnet20', (32, 3, 32, 32))


# Optimizers alone, on ResNet-20's 59 parameters.


def _update(chainer, optimizer):
    model = make_model(chainer, 'resnet20')
    optimizer.setup(model)
    params = [param for _, param in sorted(model.namedparams())]
    for path, param in model.namedparams():
        param.grad = initial_value(path, param.shape)

    def step():
        optimizer.update()
        return tuple(params)

    return step


def time_sgd_update(chainer):
    return _update(chainer, chainer.optimizers.SGD(0.01))


def time_momentum_sgd_update(chainer):
    return _update(chainer, chainer.optimizers.MomentumSGD(0.01))


def time_adam_update(chainer):
    return _update(chainer, chainer.optimizers.Adam())


# Layers by shape; larger networks.
globals().update(layer_cases.chainer_cases())
globals().update(network_cases.chainer_cases())
