"""Vanilla stochastic gradient descent."""

from chainlite.backends._equations import equations
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=0.01)


@equations
def _sgd(param, grad, *, lr):
    return param - lr * grad


class SGDRule(ElementwiseRule):
    """Update rule of vanilla SGD; see ``SGD``."""

    formula = _sgd

    def __init__(self, parent_hyperparam=None, lr=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr)


class SGD(GradientMethod):
    """Vanilla stochastic gradient descent: param -= lr * grad.

    Args:
        lr (float): Learning rate.
    """

    lr = HyperparameterProxy('lr')

    def __init__(self, lr=_defaults.lr):
        super().__init__()
        self.lr = lr

    def create_update_rule(self):
        return SGDRule(self.hyperparam)
