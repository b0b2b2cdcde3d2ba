"""Sampling from categorical distributions."""

from chainlite.backends.cpu.noise import gumbel
from chainlite.functions.activation.softmax import softmax
from chainlite.functions.array.reshape import reshape
from chainlite.variable import as_variable


def gumbel_softmax(log_pi, tau=0.1, axis=1):
    """A smooth sample of categorical distributions: softmax((log_pi + g) / tau) with noise g of Gumbel's distribution.

    Args:
        log_pi: float array, logarithms of probabilities along `axis`.
        tau: float, the temperature; towards 0 the samples become one-hot.
        axis: int.

    Returns:
        Variable of the shape of log_pi.

    See: Jang et al., Categorical Reparameterization with Gumbel-Softmax, https://arxiv.org/abs/1611.01144
    """
    log_pi = as_variable(log_pi)
    if log_pi.ndim == 0:  # one category
        return reshape(gumbel_softmax(reshape(log_pi, (1,)), tau, 0), ())
    g = gumbel(log_pi.array, log_pi.shape).astype(log_pi.dtype, copy=False)
    return softmax((log_pi + g) / tau, axis=axis)
