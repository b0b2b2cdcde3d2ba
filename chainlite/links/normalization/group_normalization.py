from chainlite.functions.normalization.group_normalization import group_normalization
from chainlite.link import Link
from chainlite.links.normalization._initializer import highprec_initializer
from chainlite.variable import Parameter


class GroupNormalization(Link):
    """Group normalization: normalizes groups of channels of each sample, then scales and shifts each channel.

    Args:
        groups: Number of groups, a divisor of the number of channels.
        size: Number of channels; None takes it from the first input.
        eps: Added to the variance.
        initial_gamma: Initializer of the scale, 1 by default.
        initial_beta: Initializer of the shift, 0 by default.

    Attributes:
        gamma, beta: Parameters, (size).

    See: Wu and He, Group Normalization, https://arxiv.org/abs/1803.08494
    """

    def __init__(self, groups, size=None, eps=1e-5, initial_gamma=None, initial_beta=None):
        super().__init__()
        self.groups = groups
        self.eps = eps
        with self.init_scope():
            self.gamma = Parameter(highprec_initializer(initial_gamma, 1))
            self.beta = Parameter(highprec_initializer(initial_beta, 0))
        if size is not None:
            self._initialize_params(size)

    def _initialize_params(self, size):
        self.gamma.initialize(size)
        self.beta.initialize(size)

    def forward(self, x):
        """Normalizes ``x``, (n, size, \\*d)."""
        if x.ndim < 2:
            raise ValueError('Input dimension must be at least 2, including batch size dimension (first dimension).')
        if self.gamma.array is None:
            self._initialize_params(x.shape[1])
        return group_normalization(x, self.groups, self.gamma, self.beta, self.eps)
