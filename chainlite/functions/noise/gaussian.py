"""Sampling from normal distributions."""

from chainlite import backend
from chainlite.backends._equations import equations
from chainlite.backends._equations import exp as _exp
from chainlite.backends.cpu.noise import normal
from chainlite.function_node import FunctionNode
from chainlite.functions.math.exponential import exp
from chainlite.utils import argument


@equations
def _deviation(ln_var, eps):
    return eps * _exp(0.5 * ln_var)


class Gaussian(FunctionNode):
    """mean + exp(ln_var / 2) eps. Noise that is not given is drawn once and kept.

    Attributes:
        eps: array of noise.
    """

    check = 'mean: f (*s), ln_var: =mean (*s)'

    def __init__(self, eps=None):
        self.eps = eps

    def forward(self, inputs):
        mean, ln_var = inputs
        if self.eps is None:
            self.eps = normal(mean, ln_var.shape).astype(mean.dtype, copy=False)
        elif self.eps.shape != mean.shape:
            raise ValueError(f'gaussian: eps must have the shape of mean, {mean.shape}, not {self.eps.shape}')
        self.retain_inputs((1,))
        self.deviation = _deviation(ln_var, self.eps.astype(mean.dtype, copy=False))
        y = mean + self.deviation
        return (backend.get_array_module(mean).asarray(y),)

    def backward(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        (ln_var,) = self.get_retained_inputs()
        gxs = gy, gy * exp(ln_var * 0.5) * (self.eps * 0.5)
        return tuple([gxs[i] for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        xp = backend.get_array_module(gy)
        return tuple([xp.asarray(gy * self.deviation * gy.dtype.type(0.5)) if i else gy for i in target_input_indexes])


def gaussian(mean, ln_var, **kwargs):
    """A sample of normal distributions, as a differentiable function of their parameters.

    Args:
        mean: float array of any shape.
        ln_var: float array of the same shape and dtype, the logarithm of the variance.
        eps: array of that shape, the noise; standard normal by default.
        return_eps: whether to return the noise as well.

    Returns:
        Variable, mean + exp(ln_var / 2) eps; or it and eps.

    See: Kingma and Welling, Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
    """
    eps, return_eps = argument.parse_kwargs(kwargs, ('eps', None), ('return_eps', False))
    node = Gaussian(eps)
    (y,) = node.apply((mean, ln_var))
    return (y, node.eps) if return_eps else y
