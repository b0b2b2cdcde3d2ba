"""Momentum SGD whose velocity does not contain the learning rate."""

from chainlite.backends._equations import equations
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=0.01, momentum=0.9)


@equations
def _corrected_momentum_sgd(param, grad, v, *, lr, momentum):
    v = momentum * v - grad
    return param + lr * v, v


class CorrectedMomentumSGDRule(ElementwiseRule):
    """Update rule of corrected momentum SGD; see ``CorrectedMomentumSGD``."""

    formula = _corrected_momentum_sgd
    state_names = ('v',)

    def __init__(self, parent_hyperparam=None, lr=None, momentum=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, momentum=momentum)


class CorrectedMomentumSGD(GradientMethod):
    """Momentum SGD with v = momentum * v - grad; param += lr * v.

    While the learning rate is constant this is ``MomentumSGD``. When it changes, the change takes effect on the whole
    velocity at once (the momentum correction of Goyal et al., https://arxiv.org/abs/1706.02677, is built in).

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
        return CorrectedMomentumSGDRule(self.hyperparam)
