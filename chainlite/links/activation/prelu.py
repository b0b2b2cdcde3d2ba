from chainlite.functions.activation.prelu import prelu
from chainlite.initializers import _get_initializer
from chainlite.link import Link
from chainlite.variable import Parameter


class PReLU(Link):
    """Leaky ReLU whose slope for negative values is learned.

    Args:
        shape: Shape of the slopes ``W``: ``()`` for one, ``(c,)`` for one of each channel.
        init: Initializer of the slopes.

    See: He et al., Delving Deep into Rectifiers, https://arxiv.org/abs/1502.01852
    """

    def __init__(self, shape=(), init=0.25):
        super().__init__()
        with self.init_scope():
            self.W = Parameter(_get_initializer(init), shape)

    def forward(self, x):
        """Maps ``x``, (n, \\*shape, \\*d), to the same shape."""
        return prelu(x, self.W)
