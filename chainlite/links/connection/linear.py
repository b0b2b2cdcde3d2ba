from math import prod

from chainlite import initializers
from chainlite.functions.connection.linear import linear
from chainlite.links._lazy import LazyLink
from chainlite.variable import Parameter, as_array


class Linear(LazyLink):
    r"""Affine map :math:`y = x W^T + b`.

    Args:
        in_size: Size of the input; None (or leaving it out: ``Linear(10)``) takes it from the first input.
        out_size: Size of the output.
        nobias: Whether to leave out the bias.
        initialW: Initializer of the weight, LeCunNormal by default.
        initial_bias: Initializer of the bias, 0 by default.

    Attributes:
        W: Weight, (out_size, in_size).
        b: Bias, (out_size), or None.
    """

    def __init__(self, in_size, out_size=None, nobias=False, initialW=None, initial_bias=None):
        super().__init__()
        if out_size is None:
            in_size, out_size = None, in_size
        self.in_size = in_size
        self.out_size = out_size
        with self.init_scope():
            self.W = Parameter(initializers._get_initializer(initialW))
            if in_size is not None:
                self._initialize_params(in_size)
            self.b = None if nobias else Parameter(initializers._get_initializer(initial_bias, 0), out_size)

    @classmethod
    def from_params(cls, W, b=None, nobias=False):
        """Makes a link of a given weight (out, in) and bias (out; None for zeros)."""
        out_size, in_size = W.shape
        return cls(in_size, out_size, nobias, as_array(W), None if b is None else as_array(b))

    @property
    def printable_specs(self):
        yield 'in_size', self.in_size
        yield 'out_size', self.out_size
        yield 'nobias', self.b is None

    def _initialize_params(self, in_size):
        self.W.initialize((self.out_size, in_size))

    def _input_size(self, x, n_batch_axes=1):
        return prod(x.shape[n_batch_axes:])

    def forward(self, x, n_batch_axes=1):
        """Maps each element of a batch.

        Args:
            x: (n, \\*s) with in_size elements in s.
            n_batch_axes: Number of leading axes that are the batch.

        Returns:
            (n, out_size), or the batch axes and out_size.
        """
        self._prepare(x, n_batch_axes)
        return linear(x, self.W, self.b, n_batch_axes=n_batch_axes)
