"""Zeiler's ADADELTA."""

from chainlite.backends._equations import equations, sqrt
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(rho=0.95, eps=1e-6)


@equations
def _ada_delta(param, grad, msg, msdx, *, fresh, eps):
    msg = msg + fresh * (grad * grad - msg)
    dx = sqrt((msdx + eps) / (msg + eps)) * grad
    return param - dx, msg, msdx + fresh * (dx * dx - msdx)


class AdaDeltaRule(ElementwiseRule):
    """Update rule of ADADELTA; see ``AdaDelta``."""

    state_names = 'msg', 'msdx'

    def __init__(self, parent_hyperparam=None, rho=None, eps=None):
        super().__init__(parent_hyperparam or _defaults, rho=rho, eps=eps)

    def step(self, hp, dtype):
        return _ada_delta, {'fresh': 1 - hp['rho'], 'eps': hp['eps']}


class AdaDelta(GradientMethod):
    """ADADELTA: steps in the ratio of the mean squares of past steps (``msdx``) and of past gradients (``msg``).

    See Zeiler, https://arxiv.org/abs/1212.5701.

    Args:
        rho (float): Decay rate of the two mean squares per update.
        eps (float): Added to both, for numerical stability; also sets the size of the first steps.
    """

    rho = HyperparameterProxy('rho')
    eps = HyperparameterProxy('eps')

    def __init__(self, rho=_defaults.rho, eps=_defaults.eps):
        super().__init__()
        self.rho = rho
        self.eps = eps

    def create_update_rule(self):
        return AdaDeltaRule(self.hyperparam)
