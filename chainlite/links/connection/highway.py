from chainlite.functions.activation.relu import relu
from chainlite.functions.activation.sigmoid import sigmoid
from chainlite.link import Chain
from chainlite.links.connection.linear import Linear


class Highway(Chain):
    r"""Highway layer :math:`y = t f(W_h x + b_h) + (1 - t) x` with the gate :math:`t = \sigma(W_t x + b_t)`.

    Args:
        in_out_size: Size of input and output.
        nobias: Whether to leave out the biases.
        activate: The function f.
        init_Wh, init_Wt: Initializers of the weights, LeCunNormal by default.
        init_bh: Initializer of :math:`b_h`, 0 by default.
        init_bt: Initializer of :math:`b_t`; a negative one lets most of the input through at first.

    See: Srivastava et al., Highway Networks, https://arxiv.org/abs/1505.00387
    """

    def __init__(self, in_out_size, nobias=False, activate=relu, init_Wh=None, init_Wt=None, init_bh=None, init_bt=-1):
        super().__init__()
        self.activate = activate
        with self.init_scope():
            self.plain = Linear(in_out_size, in_out_size, nobias, init_Wh, init_bh)
            self.transform = Linear(in_out_size, in_out_size, nobias, init_Wt, init_bt)

    def forward(self, x):
        """Maps ``x``, (n, in_out_size), to the same shape."""
        gate = sigmoid(self.transform(x))
        return self.activate(self.plain(x)) * gate + x * (1 - gate)
