from math import prod, sqrt

from chainlite import initializers
from chainlite.functions.noise.simplified_dropconnect import simplified_dropconnect
from chainlite.links._lazy import LazyLink
from chainlite.variable import Parameter


class SimplifiedDropconnect(LazyLink):
    """Linear layer whose weights are dropped at random in training mode.

    Args:
        in_size: Size of the input; None takes it from the first input.
        out_size: Size of the output.
        ratio: Share of the weights that are dropped.
        nobias: Whether to leave out the bias.
        initialW: Initializer of the weight, HeNormal(1 / sqrt(2)) by default.
        initial_bias: Initializer of the bias, 0 by default.

    See: Wan et al., Regularization of Neural Networks using DropConnect, ICML 2013
    """

    def __init__(self, in_size, out_size, ratio=0.5, nobias=False, initialW=None, initial_bias=None):
        super().__init__()
        self.out_size = out_size
        self.ratio = ratio
        if initialW is None:
            initialW = initializers.HeNormal(1 / sqrt(2))
        with self.init_scope():
            self.W = Parameter(initializers._get_initializer(initialW))
            if in_size is not None:
                self._initialize_params(in_size)
            self.b = None if nobias else Parameter(initializers._get_initializer(initial_bias, 0), out_size)

    def _initialize_params(self, in_size):
        self.W.initialize((self.out_size, in_size))

    def _input_size(self, x):
        return prod(x.shape[1:])

    def forward(self, x, train=True, mask=None, use_batchwise_mask=True):
        """Maps each element of a batch.

        Args:
            x: (n, \\*s) with in_size elements in s.
            train: Whether to drop weights, in training mode.
            mask: Which weights to keep, (n, out_size, in_size) or (out_size, in_size); None draws them.
            use_batchwise_mask: Whether each element of the batch has a mask of its own.
        """
        self._prepare(x)
        return simplified_dropconnect(x, self.W, self.b, self.ratio, train, mask, use_batchwise_mask)
