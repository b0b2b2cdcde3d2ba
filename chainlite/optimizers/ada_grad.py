"""AdaGrad."""

from chainlite.backends._equations import equations, sqrt
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=0.001, eps=1e-8)


@equations
def _ada_grad(param, grad, h, *, lr, eps):
    h = h + grad * grad
    return param - lr * grad / (sqrt(h) + eps), h


class AdaGradRule(ElementwiseRule):
    """Update rule of AdaGrad; see ``AdaGrad``."""

    formula = _ada_grad
    state_names = ('h',)

    def __init__(self, parent_hyperparam=None, lr=None, eps=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, eps=eps)


class AdaGrad(GradientMethod):
    """AdaGrad: h += grad**2; param -= lr * grad / (sqrt(h) + eps).

    See Duchi, Hazan and Singer, http://jmlr.org/papers/v12/duchi11a.html.

    Args:
        lr (float): Learning rate.
        eps (float): For numerical stability.
    """

    lr = HyperparameterProxy('lr')
    eps = HyperparameterProxy('eps')

    def __init__(self, lr=_defaults.lr, eps=_defaults.eps):
        super().__init__()
        self.lr = lr
        self.eps = eps

    def create_update_rule(self):
        return AdaGradRule(self.hyperparam)
