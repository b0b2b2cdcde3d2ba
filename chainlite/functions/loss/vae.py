"""Terms of the loss of variational autoencoders."""

import math

from chainlite.functions.activation.softplus import softplus
from chainlite.functions.math.average import average
from chainlite.functions.math.exponential import exp
from chainlite.functions.math.sum import sum
from chainlite.variable import as_variable


def gaussian_kl_divergence(mean, ln_var, reduce='sum'):
    """KL divergence of Gaussians with diagonal covariance from the standard one.

    Args:
        mean, ln_var: float arrays of one shape: means and logarithms of variances.
        reduce: 'sum', 'mean', or 'no' for an array of that shape.
    """
    _check_reduce(reduce)
    mean, ln_var = as_variable(mean), as_variable(ln_var)
    return _reduce((mean * mean + exp(ln_var) - ln_var - 1) * 0.5, reduce)


def bernoulli_nll(x, y, reduce='sum'):
    """Negative log likelihood of Bernoulli variables.

    Args:
        x: float array of values in [0, 1].
        y: float array of the same shape: logits.
        reduce: 'sum', 'mean', or 'no' for an array of that shape.
    """
    _check_reduce(reduce)
    x, y = as_variable(x), as_variable(y)
    return _reduce(softplus(y) - x * y, reduce)


def gaussian_nll(x, mean, ln_var, reduce='sum'):
    """Negative log likelihood of Gaussian variables.

    Args:
        x, mean, ln_var: float arrays of one shape: values, means and logarithms of variances.
        reduce: 'sum', 'mean', or 'no' for an array of that shape.
    """
    _check_reduce(reduce)
    x, mean, ln_var = as_variable(x), as_variable(mean), as_variable(ln_var)
    difference = x - mean
    return _reduce((ln_var + math.log(2 * math.pi) + difference * difference * exp(-ln_var)) * 0.5, reduce)


def _check_reduce(reduce):
    if reduce not in ('sum', 'mean', 'no'):
        raise ValueError(f"only 'sum', 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")


def _reduce(loss, reduce):
    return sum(loss) if reduce == 'sum' else average(loss) if reduce == 'mean' else loss
