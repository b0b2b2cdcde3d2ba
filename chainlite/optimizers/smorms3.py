"""Simon Funk's SMORMS3."""

from chainlite.backends._equations import equations, minimum, sqrt
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, hyperparameters

_defaults = hyperparameters(lr=0.001, eps=1e-16)


@equations
def _smorms3(param, grad, mem, g, g2, *, lr, eps):
    r = 1 / (mem + 1)
    g = g + r * (grad - g)
    g2 = g2 + r * (grad * grad - g2)
    x = g * g / (g2 + eps)
    return param - grad * minimum(x, lr) / (sqrt(g2) + eps), 1 + mem * (1 - x), g, g2


class SMORMS3Rule(ElementwiseRule):
    """Update rule of SMORMS3; see ``SMORMS3``."""

    formula = _smorms3
    state_names = 'mem', 'g', 'g2'

    def __init__(self, parent_hyperparam=None, lr=None, eps=None):
        super().__init__(parent_hyperparam or _defaults, lr=lr, eps=eps)

    def init_state(self, param):
        super().init_state(param)
        self.state['mem'] += 1


class SMORMS3(GradientMethod):
    """SMORMS3: means over a memory (``mem`` updates) that shrinks with the squared-mean-over-root-mean-square ratio.

    See Funk (2015), RMSprop loses to SMORMS3 - beware the epsilon!

    Args:
        lr (float): Largest learning rate.
        eps (float): For numerical stability.
    """

    lr = HyperparameterProxy('lr')
    eps = HyperparameterProxy('eps')

    def __init__(self, lr=_defaults.lr, eps=_defaults.eps):
        super().__init__()
        self.lr = lr
        self.eps = eps

    def create_update_rule(self):
        return SMORMS3Rule(self.hyperparam)
