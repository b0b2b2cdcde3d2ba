"""Scaled exponential linear unit."""

from chainlite.functions.activation.elu import elu


def selu(x, alpha=1.6732632423543772848170429916717, scale=1.0507009873554804934193349852946):
    """scale * elu(x, alpha), which keeps mean 0 and variance 1 from layer to layer with the default constants.

    Args:
        x: float array of any shape.
        alpha, scale: floats.

    See: https://arxiv.org/abs/1706.02515
    """
    return scale * elu(x, alpha)
