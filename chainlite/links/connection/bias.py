from chainlite.configuration import config
from chainlite.functions.math.bias import bias
from chainlite.link import Link
from chainlite.variable import Parameter


class Bias(Link):
    """Adds a vector (or larger array) along some axes, a learned one or the second input.

    Args:
        axis: First axis of the input that the bias goes along.
        shape: Shape of the learned bias ``b``, which starts as 0; None to add the second input instead.
    """

    def __init__(self, axis=1, shape=None):
        super().__init__()
        self.axis = axis
        if shape is not None:
            with self.init_scope():
                self.b = Parameter(0, shape)

    def forward(self, *xs):
        """Adds to ``xs[0]`` the learned bias, or ``xs[1]``."""
        learned = hasattr(self, 'b')
        if len(xs) != (1 if learned else 2):
            error = AssertionError if config.debug else ValueError
            takes = 'x alone, as it has learned b' if learned else 'x and b'
            raise error(f'Bias takes {takes}, not {len(xs)} inputs')
        return bias(xs[0], self.b if learned else xs[1], self.axis)
