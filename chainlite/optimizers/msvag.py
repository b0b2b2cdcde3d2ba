"""M-SVAG: momentum with stochastic variance-adapted gradients."""

from chainlite.backends._equations import equations, maximum
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=0.1, beta=0.9, eta=1.0, weight_decay_rate=0)
_TINY = 1e-30  # keeps 0 / 0, the factor of a gradient that was always 0, from being NaN


@equations
def _msvag(param, grad, m, v, *, step, fresh, correction, noise, shrink):
    m = m + fresh * (grad - m)
    v = v + fresh * (grad * grad - v)
    mean = m / correction
    square = mean * mean
    factor = square / maximum(square + noise * maximum(v / correction - square, 0), _TINY)
    return param - (step * factor * mean + shrink * param), m, v


class MSVAGRule(ElementwiseRule):
    """Update rule of M-SVAG; see ``MSVAG``."""

    state_names = 'm', 'v'

    def __init__(self, parent_hyperparam=None, lr=None, beta=None, eta=None, weight_decay_rate=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, beta=beta, eta=eta, weight_decay_rate=weight_decay_rate)

    def step(self, hp, dtype):
        beta, eta = hp['beta'], hp['eta']
        power = beta**self.t
        # rho is the variance of the mean of t gradients, weighted as in m, over that of one. After the first gradient
        # it is 1 and the variance estimate is 0 / 0: nothing is known of the noise, and the step is the gradient.
        rho = (1 - beta) * (1 + power) / ((1 + beta) * (1 - power))
        return _msvag, {
            'step': eta * hp['lr'],
            'fresh': 1 - beta,
            'correction': 1 - power,
            'noise': rho / (1 - rho) if self.t > 1 and rho < 1 else 0,
            'shrink': eta * hp['weight_decay_rate'],
        }


class MSVAG(GradientMethod):
    """M-SVAG: scales each element of the momentum by mean**2 / (mean**2 + its variance), from running means.

    See Balles and Hennig, Dissecting Adam: the sign, magnitude and variance of stochastic gradients,
    https://arxiv.org/abs/1705.07774.

    Args:
        lr (float): Learning rate.
        beta (float): Decay rate of the means ``m`` of gradients and ``v`` of their squares per update.
        eta (float): Schedule multiplier, of the step and of the weight decay.
        weight_decay_rate (float): Rate of decoupled weight decay.
    """

    lr = HyperparameterProxy('lr')
    beta = HyperparameterProxy('beta')
    eta = HyperparameterProxy('eta')
    weight_decay_rate = HyperparameterProxy('weight_decay_rate')

    def __init__(
        self, lr=_defaults.lr, beta=_defaults.beta, eta=_defaults.eta, weight_decay_rate=_defaults.weight_decay_rate
    ):
        super().__init__()
        self.lr = lr
        self.beta = beta
        self.eta = eta
        self.weight_decay_rate = weight_decay_rate

    def create_update_rule(self):
        return MSVAGRule(self.hyperparam)
