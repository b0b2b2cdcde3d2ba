from chainlite import variable
from chainlite.functions.math.identity import identity
from chainlite.link import Link


class Parameter(Link):
    """One parameter as a link: calling it gives the parameter.

    Args:
        array: Initial value.

    Attributes:
        W: The parameter.
    """

    def __init__(self, array):
        super().__init__()
        with self.init_scope():
            self.W = variable.Parameter(array)

    def forward(self, volatile='off'):
        """Returns the parameter's value, as a Variable through which gradients reach it."""
        return identity(self.W)
