from chainlite.functions.activation.swish import swish
from chainlite.initializers import _get_initializer
from chainlite.link import Link
from chainlite.variable import Parameter


class Swish(Link):
    r"""Swish with a learned :math:`\beta`: :math:`x \sigma(\beta x)`.

    Args:
        beta_shape: Shape of ``beta``; None takes it from the first input, without its first axis.
        beta_init: Initializer of ``beta``.

    See: Ramachandran et al., Searching for Activation Functions, https://arxiv.org/abs/1710.05941
    """

    def __init__(self, beta_shape, beta_init=1.0):
        super().__init__()
        with self.init_scope():
            self.beta = Parameter(_get_initializer(beta_init))
        if beta_shape is not None:
            self.beta.initialize(beta_shape)

    def forward(self, x):
        """Maps ``x``, (n, \\*beta_shape, \\*d), to the same shape."""
        if self.beta.array is None:
            self.beta.initialize(x.shape[1:])
        return swish(x, self.beta)
