"""Chainer 1's spelling of functions: `F.MaxPooling2D(2, 2)` is an object that is called later, any number of times."""

NAMES = {
    'Absolute': 'absolute',
    'Accuracy': 'accuracy',
    'ArgMax': 'argmax',
    'ArgMin': 'argmin',
    'AveragePooling2D': 'average_pooling_2d',
    'BatchMatMul': 'batch_matmul',
    'BroadcastTo': 'broadcast_to',
    'Cast': 'cast',
    'Clip': 'clip',
    'ClippedReLU': 'clipped_relu',
    'Concat': 'concat',
    'Copy': 'copy',
    'Cos': 'cos',
    'Dropout': 'dropout',
    'ELU': 'elu',
    'Exp': 'exp',
    'ExpandDims': 'expand_dims',
    'GetItem': 'get_item',
    'Hinge': 'hinge',
    'Identity': 'identity',
    'LeakyReLU': 'leaky_relu',
    'LocalResponseNormalization': 'local_response_normalization',
    'Log': 'log',
    'LogSoftmax': 'log_softmax',
    'LogSumExp': 'logsumexp',
    'MatMul': 'matmul',
    'Max': 'max',
    'Maximum': 'maximum',
    'MaxPooling2D': 'max_pooling_2d',
    'MeanSquaredError': 'mean_squared_error',
    'Min': 'min',
    'Minimum': 'minimum',
    'ReLU': 'relu',
    'Reshape': 'reshape',
    'Sigmoid': 'sigmoid',
    'SigmoidCrossEntropy': 'sigmoid_cross_entropy',
    'Sin': 'sin',
    'Softmax': 'softmax',
    'SoftmaxCrossEntropy': 'softmax_cross_entropy',
    'Softplus': 'softplus',
    'SplitAxis': 'split_axis',
    'Sqrt': 'sqrt',
    'Squeeze': 'squeeze',
    'Sum': 'sum',
    'Swapaxes': 'swapaxes',
    'Tanh': 'tanh',
    'Transpose': 'transpose',
    'Where': 'where',
}


class V1Function:
    """A function with its options, to be called on arrays: each call makes a new node."""

    def __init__(self, name, function, args, kwargs):
        if 'use_cudnn' in kwargs:
            raise ValueError(
                "use_cudnn argument is not supported anymore. Use chainer.using_config('use_cudnn', value)"
            )
        self.name, self.function, self.args, self.kwargs = name, function, args, kwargs

    def __call__(self, *inputs):
        if self.name == 'Concat':  # the one whose function takes its arrays as a list
            inputs = (inputs,)
        return self.function(*inputs, *self.args, **self.kwargs)

    def __repr__(self):
        options = [*map(repr, self.args), *(f'{k}={v!r}' for k, v in self.kwargs.items())]
        return f'{self.name}({", ".join(options)})'


def v1_class(name, function):
    """What stands for the class `name`: called with options, it gives a V1Function."""

    def make(*args, **kwargs):
        return V1Function(name, function, args, kwargs)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f'Chainer 1 spelling of `{function.__name__}`; takes its options and returns a callable.'
    return make
