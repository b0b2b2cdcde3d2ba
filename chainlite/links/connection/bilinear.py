from chainlite.functions.connection.bilinear import bilinear
from chainlite.initializers import _get_initializer
from chainlite.link import Link
from chainlite.variable import Parameter


class Bilinear(Link):
    r"""Bilinear map :math:`y_k = \sum_{ij} a_i b_j W_{ijk} + \sum_i a_i V^1_{ik} + \sum_j b_j V^2_{jk} + b_k`.

    Args:
        left_size: Size of the first input.
        right_size: Size of the second input.
        out_size: Size of the output.
        nobias: Whether to leave out ``V1``, ``V2`` and ``b``.
        initialW: Initializer of W, LeCunNormal by default.
        initial_bias: Tuple of the initializers of V1, V2 and b; LeCunNormal, LeCunNormal and 0 by default.

    Attributes:
        W: (left_size, right_size, out_size).
        V1: (left_size, out_size).
        V2: (right_size, out_size).
        b: (out_size).
    """

    def __init__(self, left_size, right_size, out_size, nobias=False, initialW=None, initial_bias=None):
        super().__init__()
        self.in_sizes = (left_size, right_size)
        self.nobias = nobias
        if initial_bias is None:
            initial_bias = (None, None, 0)
        elif not isinstance(initial_bias, tuple):
            raise ValueError('initial_bias must be tuple or None')
        with self.init_scope():
            self.W = _make('W', initialW, (left_size, right_size, out_size))
            if not nobias:
                V1, V2, b = initial_bias
                self.V1 = _make('V1', V1, (left_size, out_size))
                self.V2 = _make('V2', V2, (right_size, out_size))
                self.b = _make('b', b, (out_size,))

    def forward(self, e1, e2):
        """Maps ``e1``, (n, left_size), and ``e2``, (n, right_size), to (n, out_size)."""
        if self.nobias:
            return bilinear(e1, e2, self.W)
        return bilinear(e1, e2, self.W, self.V1, self.V2, self.b)

    def zero_grads(self):
        """Fills all gradients with zeros. Deprecated: use :meth:`cleargrads`."""
        self.zerograds()


def _make(name, initializer, shape):
    given = getattr(initializer, 'shape', shape)
    if given not in (shape, ()):
        raise AssertionError(f'Bilinear: the initial {name} must have shape {shape}, not {given}')
    return Parameter(_get_initializer(initializer), shape)
