"""Nesterov's accelerated gradient."""

from chainlite.backends._equations import equations
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=0.01, momentum=0.9)


@equations
def _nesterov_ag(param, grad, v, *, lr, momentum):
    v = momentum * v - lr * grad
    # The first of the two looks ahead from the new velocity: Chainer's variant, one momentum more than the paper's.
    return param + (momentum * momentum * v - (1 + momentum) * lr * grad), v


class NesterovAGRule(ElementwiseRule):
    """Update rule of Nesterov's accelerated gradient; see ``NesterovAG``."""

    formula = _nesterov_ag
    state_names = ('v',)

    def __init__(self, parent_hyperparam=None, lr=None, momentum=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, momentum=momentum)


class NesterovAG(GradientMethod):
    """Nesterov's accelerated gradient.

    v = momentum * v - lr * grad; param += momentum**2 * v - (1 + momentum) * lr * grad.
    See Bengio et al., Advances in optimizing recurrent networks, https://arxiv.org/abs/1212.0901.

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
        return NesterovAGRule(self.hyperparam)
