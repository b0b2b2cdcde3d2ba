"""Gaussian noise on gradients."""

import numpy

from chainlite.backend import using_device
from chainlite.backends.cpu.noise import normal


def exponential_decay_noise(xp, shape, dtype, hook, opt):
    """Gaussian noise of variance eta / (1 + t) ** 0.55, where t is the number of updates.

    Args:
        xp: The array module, NumPy or CuPy.
        shape (tuple of int): Shape of the noise.
        dtype: Its dtype.
        hook (GradientNoise): Who asks; has ``eta``.
        opt: The update rule; has ``t``.
    """
    std = numpy.sqrt(hook.eta / numpy.power(1 + opt.t, 0.55))
    return (std * normal(xp.empty(0), shape)).astype(dtype)


class GradientNoise:
    """Adds noise to each gradient, by default Gaussian noise that decays with the number of updates.

    See Neelakantan et al., https://arxiv.org/abs/1511.06807.

    Args:
        eta (float): Variance of the noise at the first update; the paper recommends 0.01, 0.3 or 1.0.
        noise_func (callable): ``noise_func(xp, shape, dtype, hook, rule)`` returns the noise.
    """

    name = 'GradientNoise'
    call_for_each_param = True
    timing = 'pre'

    def __init__(self, eta, noise_func=exponential_decay_noise):
        self.eta = eta
        self.noise_func = noise_func

    def __call__(self, rule, param):
        grad = param.grad
        if grad is None:
            return
        device = param.device
        with using_device(device):
            noise = self.noise_func(device.xp, grad.shape, grad.dtype, self, rule)
            grad += noise
