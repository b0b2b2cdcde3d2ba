"""Graves' variant of RMSprop."""

from chainlite.backends._equations import equations, sqrt
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=1e-4, alpha=0.95, momentum=0.9, eps=1e-4)


@equations
def _rmsprop_graves(param, grad, n, g, delta, *, lr, fresh, momentum, eps):
    n = n + fresh * (grad * grad - n)
    g = g + fresh * (grad - g)
    delta = momentum * delta - lr * grad / sqrt(n - g * g + eps)
    return param + delta, n, g, delta


class RMSpropGravesRule(ElementwiseRule):
    """Update rule of Graves' RMSprop; see ``RMSpropGraves``."""

    state_names = 'n', 'g', 'delta'

    def __init__(self, parent_hyperparam=None, lr=None, alpha=None, momentum=None, eps=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, alpha=alpha, momentum=momentum, eps=eps)

    def step(self, hp, dtype):
        scalars = {'lr': hp['lr'], 'fresh': 1 - hp['alpha'], 'momentum': hp['momentum'], 'eps': hp['eps']}
        return _rmsprop_graves, scalars


class RMSpropGraves(GradientMethod):
    """Graves' RMSprop: divides by the running standard deviation of the gradient, with momentum.

    See Graves, Generating sequences with recurrent neural networks, https://arxiv.org/abs/1308.0850.

    Args:
        lr (float): Learning rate.
        alpha (float): Decay rate of the mean square ``n`` and the mean ``g`` per update.
        momentum (float): Decay rate of the step ``delta`` per update.
        eps (float): Added to the variance, for numerical stability.
    """

    lr = HyperparameterProxy('lr')
    alpha = HyperparameterProxy('alpha')
    momentum = HyperparameterProxy('momentum')
    eps = HyperparameterProxy('eps')

    def __init__(self, lr=_defaults.lr, alpha=_defaults.alpha, momentum=_defaults.momentum, eps=_defaults.eps):
        super().__init__()
        self.lr = lr
        self.alpha = alpha
        self.momentum = momentum
        self.eps = eps

    def create_update_rule(self):
        return RMSpropGravesRule(self.hyperparam)
