"""RMSprop."""

from chainlite.backends._equations import equations, sqrt
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, check_eps, hyperparameters

_defaults = hyperparameters(lr=0.01, alpha=0.99, eps=1e-8, eps_inside_sqrt=False)


@equations
def _eps_outside(param, grad, ms, *, lr, fresh, eps):
    ms = ms + fresh * (grad * grad - ms)
    return param - lr * grad / (sqrt(ms) + eps), ms


@equations
def _eps_inside(param, grad, ms, *, lr, fresh, eps):
    ms = ms + fresh * (grad * grad - ms)
    return param - lr * grad / sqrt(ms + eps), ms


class RMSpropRule(ElementwiseRule):
    """Update rule of RMSprop; see ``RMSprop``."""

    state_names = ('ms',)

    def __init__(self, parent_hyperparam=None, lr=None, alpha=None, eps=None, eps_inside_sqrt=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, alpha=alpha, eps=eps, eps_inside_sqrt=eps_inside_sqrt)

    def step(self, hp, dtype):
        check_eps(hp['eps'], dtype.type, 'RMSprop')
        formula = _eps_inside if hp['eps_inside_sqrt'] else _eps_outside
        return formula, {'lr': hp['lr'], 'fresh': 1 - hp['alpha'], 'eps': hp['eps']}


class RMSprop(GradientMethod):
    """RMSprop: divides the gradient by the root of a running mean of its square (``ms``).

    See Tieleman and Hinton (2012), Lecture 6.5 - rmsprop, COURSERA: Neural Networks for Machine Learning.

    Args:
        lr (float): Learning rate.
        alpha (float): Decay rate of the mean square per update.
        eps (float): For numerical stability; ValueError at the first update if it vanishes in the parameter's dtype.
        eps_inside_sqrt (bool): Whether eps is added to the mean square, sqrt(ms + eps), or to its root, sqrt(ms) + eps.
    """

    lr = HyperparameterProxy('lr')
    alpha = HyperparameterProxy('alpha')
    eps = HyperparameterProxy('eps')
    eps_inside_sqrt = HyperparameterProxy('eps_inside_sqrt')

    def __init__(
        self, lr=_defaults.lr, alpha=_defaults.alpha, eps=_defaults.eps, eps_inside_sqrt=_defaults.eps_inside_sqrt
    ):
        super().__init__()
        self.lr = lr
        self.alpha = alpha
        self.eps = eps
        self.eps_inside_sqrt = eps_inside_sqrt

    def create_update_rule(self):
        return RMSpropRule(self.hyperparam)
