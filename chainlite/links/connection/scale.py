from chainlite.configuration import config
from chainlite.functions.math.scale import scale
from chainlite.link import Chain
from chainlite.links.connection.bias import Bias
from chainlite.variable import Parameter


class Scale(Chain):
    """Multiplies by a vector (or larger array) along some axes, a learned one or the second input.

    Args:
        axis: First axis of the input that the factors go along.
        W_shape: Shape of the learned factors ``W``, which start as 1; None to take the second input instead.
        bias_term: Whether to add a learned bias as well, ``bias.b``.
        bias_shape: Shape of the bias, where ``W_shape`` is None.
    """

    def __init__(self, axis=1, W_shape=None, bias_term=False, bias_shape=None):
        super().__init__()
        self.axis = axis
        if W_shape is None and bias_term and bias_shape is None:
            raise ValueError('bias_shape should be given if W is not learnt parameter and bias_term is True.')
        with self.init_scope():
            if W_shape is not None:
                self.W = Parameter(1, W_shape)
            if bias_term:
                self.bias = Bias(axis, bias_shape if W_shape is None else W_shape)

    def forward(self, *xs):
        """Multiplies ``xs[0]`` by the learned factors, or by ``xs[1]``."""
        learned = hasattr(self, 'W')
        if len(xs) != (1 if learned else 2):
            error = AssertionError if config.debug else ValueError
            takes = 'x alone, as it has learned W' if learned else 'x and W'
            raise error(f'Scale takes {takes}, not {len(xs)} inputs')
        y = scale(xs[0], self.W if learned else xs[1], self.axis)
        return self.bias(y) if hasattr(self, 'bias') else y
