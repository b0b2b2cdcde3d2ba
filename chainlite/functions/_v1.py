"""Chainer 1's spelling of functions: `F.MaxPooling2D(2, 2)` is an object that is called later, any number of times."""

# Each is called like a function of today, but for capitals and underscores.
NAMES = frozenset(
    """
    Absolute Accuracy ArgMax ArgMin AveragePooling2D BatchMatMul BroadcastTo Cast Clip ClippedReLU Concat Copy Cos
    Dropout ELU Exp ExpandDims GetItem Hinge Identity LeakyReLU LocalResponseNormalization Log LogSoftmax
    LogSumExp MatMul Max Maximum MaxPooling2D MeanSquaredError Min Minimum ReLU Reshape Sigmoid
    SigmoidCrossEntropy Sin Softmax SoftmaxCrossEntropy Softplus SplitAxis Sqrt Squeeze Sum Swapaxes Tanh
    Transpose Where
    """.split()
)


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
