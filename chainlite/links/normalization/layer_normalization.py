from math import prod

from chainlite.functions.normalization.layer_normalization import layer_normalization
from chainlite.initializers import _get_initializer
from chainlite.link import Link
from chainlite.variable import Parameter


class LayerNormalization(Link):
    """Layer normalization: normalizes each row to mean 0 and variance 1, then scales and shifts it.

    Args:
        size: Size of a row; None takes it from the first input.
        eps: Added to the variance.
        initial_gamma: Initializer of the scale, 1 by default.
        initial_beta: Initializer of the shift, 0 by default.

    Attributes:
        gamma, beta: Parameters, (size).

    See: Ba et al., Layer Normalization, https://arxiv.org/abs/1607.06450
    """

    def __init__(self, size=None, eps=1e-6, initial_gamma=None, initial_beta=None):
        super().__init__()
        self.eps = eps
        with self.init_scope():
            self.gamma = Parameter(_get_initializer(initial_gamma, 1))
            self.beta = Parameter(_get_initializer(initial_beta, 0))
        if size is not None:
            self._initialize_params(size)

    def _initialize_params(self, size):
        self.gamma.initialize(size)
        self.beta.initialize(size)

    def forward(self, x):
        """Normalizes ``x``, (n, size)."""
        if self.gamma.array is None:
            self._initialize_params(prod(x.shape[1:]))
        return layer_normalization(x, self.gamma, self.beta, self.eps)
