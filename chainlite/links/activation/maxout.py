import numpy

from chainlite.functions.activation.maxout import maxout
from chainlite.initializer import Initializer
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear


class Maxout(Chain):
    """Fully-connected maxout: each output is the largest of ``pool_size`` linear functions.

    Args:
        in_size: Size of the input; None takes it from the first input.
        out_size: Size of the output.
        pool_size: Number of linear functions of each output.
        initialW: Initializer of the weight, or an array (out_size, pool_size, in_size); LeCunNormal by default.
        initial_bias: Initializer of the bias, or an array (out_size, pool_size); None for no bias.

    See: Goodfellow et al., Maxout Networks, https://arxiv.org/abs/1302.4389
    """

    def __init__(self, in_size, out_size, pool_size, initialW=None, initial_bias=0):
        super().__init__()
        n = out_size * pool_size
        if _is_array(initialW):
            if initialW.ndim != 3:
                raise ValueError('initialW.ndim should be 3')
            initialW = initialW.reshape(n, in_size)
        if _is_array(initial_bias):
            if initial_bias.ndim != 2:
                raise ValueError('initial_bias.ndim should be 2')
            initial_bias = initial_bias.reshape(n)
        self.out_size = out_size
        self.pool_size = pool_size
        with self.init_scope():
            self.linear = Linear(
                in_size,
                n,
                initial_bias is None,
                _of_shape(initialW, out_size, pool_size, -1),
                _of_shape(initial_bias, out_size, pool_size),
            )

    def forward(self, x):
        """Maps ``x``, (n, in_size), to (n, out_size)."""
        return maxout(self.linear(x), self.pool_size)


def _of_shape(initializer, *shape):
    """The initializer; a plain function is given arrays of that shape."""
    if isinstance(initializer, Initializer) or not callable(initializer):
        return initializer
    return lambda array: initializer(array.reshape(shape))


def _is_array(initializer):
    return initializer is not None and not numpy.isscalar(initializer) and not callable(initializer)
