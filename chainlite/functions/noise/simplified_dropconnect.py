"""DropConnect, simplified."""

import numpy as np

from chainlite._trilinear import Bilinear
from chainlite.backends.cpu.noise import uniform
from chainlite.backends.cpu.product import product
from chainlite.configuration import config
from chainlite.functions.array.reshape import reshape
from chainlite.functions.connection.linear import linear
from chainlite.utils import type_check
from chainlite.variable import as_array, as_variable

_PARAMETERS = 'ratio', 'mask', 'use_batchwise_mask', 'weights'


class SimplifiedDropconnect(Bilinear):
    """y (n, m) from x (n, c), W (m, c) under a mask, (n, m, c) or (m, c), and perhaps b (m).

    Attributes:
        mask: bool array, where weights are kept; drawn when the node is applied if it is not given, and kept.
    """

    place, parameters = 2, _PARAMETERS
    weights = None  # of what stays: by how much it is scaled up

    def __init__(self, ratio, mask=None, use_batchwise_mask=True):
        self.ratio, self.mask, self.use_batchwise_mask = ratio, mask, use_batchwise_mask

    def check_type_forward(self, in_types):
        n_in = type_check.eval(in_types.size())
        type_check.expect(2 <= in_types.size(), in_types.size() <= 3)
        type_check.argname(in_types, ('x', 'W', 'b')[:n_in])
        x, W = in_types[:2]
        type_check.expect(x.dtype.kind == 'f', W.dtype.kind == 'f', x.ndim >= 2, W.ndim == 2)
        type_check.expect(type_check.prod(x.shape[1:]) == W.shape[1])
        if n_in == 3:
            b = in_types[2]
            type_check.expect(b.dtype == x.dtype, b.ndim == 1, b.shape[0] == W.shape[0])
        if self.mask is not None:
            shape = self.mask.shape
            if self.use_batchwise_mask:
                type_check.expect(x.shape[0] == shape[0])
            type_check.expect(W.shape == shape[self.use_batchwise_mask :])

    def forward(self, inputs):
        x, W = inputs[:2]
        if self.mask is None:
            self.mask = uniform(x, (*x.shape[: self.use_batchwise_mask], *W.shape)) >= self.ratio
        if self.weights is None:
            self.weights = self.mask.astype(np.result_type(x, W, 'f')) * (1 / (1 - self.ratio))
        return super().forward(inputs)

    def run(self, x, W):
        W = W * self.weights
        y = product(x, W.T) if W.ndim == 2 else product(W, x[:, :, None])[:, :, 0]
        return y.astype(self.dtype or x.dtype, copy=False)


class _GradX(Bilinear):
    """x from W and y."""

    place, parameters = 0, _PARAMETERS

    def run(self, W, y):
        W = W * self.weights
        x = product(y, W) if W.ndim == 2 else product(y[:, None], W)[:, 0]
        return x.astype(self.dtype, copy=False)


class _GradW(Bilinear):
    """W from x and y."""

    place, parameters = 1, _PARAMETERS

    def run(self, x, y):
        if self.weights.ndim == 2:
            W = product(y.T, x) * self.weights
        else:
            W = (y[:, :, None] * x[:, None] * self.weights).sum(0)
        return W.astype(self.dtype, copy=False)


Bilinear.tie(_GradX, _GradW, SimplifiedDropconnect)


def simplified_dropconnect(x, W, b=None, ratio=0.5, train=True, mask=None, use_batchwise_mask=True):
    """x W^T + b with weights set to zero at random and the others scaled up.

    Args:
        x: float array (n, *d) of c elements in each sample.
        W: float array (m, c).
        b: float array (m), or None.
        ratio: float, the probability of zero.
        train: bool; if not, no weight is set to zero but by `mask`.
        mask: bool array, the weights that stay: (n, m, c), or (m, c) unless `use_batchwise_mask`; None draws it.
        use_batchwise_mask: whether each sample has a mask of its own.

    Returns:
        Variable (n, m).

    See: Wan et al., Regularization of Neural Network using DropConnect, 2013
    """
    if not train:
        if mask is None and not config.enable_backprop:
            return linear(x, W, b)  # nobody can ask the node for its mask
        ratio = 0
    x = as_variable(x)
    if x.ndim > 2:
        x = reshape(x, (len(x), -1))
    node = SimplifiedDropconnect(ratio, None if mask is None else as_array(mask), use_batchwise_mask)
    return node.apply((x, W) if b is None else (x, W, b))[0]
