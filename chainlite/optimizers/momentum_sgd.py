"""Stochastic gradient descent with momentum."""

from chainlite.backends._equations import equations
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=0.01, momentum=0.9)


@equations
def _momentum_sgd(param, grad, v, *, lr, momentum):
    v = momentum * v - lr * grad
    return param + v, v


class MomentumSGDRule(ElementwiseRule):
    """Update rule of momentum SGD; see ``MomentumSGD``."""

    formula = _momentum_sgd
    state_names = ('v',)

    def __init__(self, parent_hyperparam=None, lr=None, momentum=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, momentum=momentum)


class MomentumSGD(GradientMethod):
    """Momentum SGD: v = momentum * v - lr * grad; param += v.

    Args:
        lr (float): Learning rate.
        momentum (float): Decay rate of the velocity v per update.
    """

    lr = HyperparameterProxy('lr')
    momentum = HyperparameterProxy('momentum')

    def __init__(self, lr=_defaults.lr, momentum=_defaults.momentum):
        super().__init__()
        self.lr = lr
        self.momentum = momentum

    def create_update_rule(self):
        return MomentumSGDRule(self.hyperparam)
