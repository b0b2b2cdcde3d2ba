"""Adam and its relatives: AdamW, AMSGrad, AdaBound, AMSBound."""

import functools
import math
import warnings

import numpy

from chainlite.backends._equations import equations, maximum, minimum, sqrt
from chainlite.optimizer import GradientMethod, HyperparameterProxy
from chainlite.optimizers._rule import ElementwiseRule, check_eps, hyperparameters

_defaults = hyperparameters(
    alpha=0.001,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    eta=1.0,
    weight_decay_rate=0,
    amsgrad=False,
    adabound=False,
    final_lr=0.1,
    gamma=0.001,
)


@functools.cache
def _family(amsgrad, adabound, decays):
    """The equations of one member of the family."""

    def means(grad, m, v, fresh1, fresh2):
        return m + fresh1 * (grad - m), v + fresh2 * (grad * grad - v)

    def moved(param, m, v, alpha_t, eps, lower, upper, eta, weight_decay_rate):
        if adabound:
            step = minimum(maximum(alpha_t / (sqrt(v) + eps), lower), upper) * m
        else:
            step = alpha_t * m / (sqrt(v) + eps)
        if not adabound and not decays:
            return param - step  # eta is in alpha_t
        return param - eta * (step + weight_decay_rate * param if decays else step)

    @equations
    def adam(param, grad, m, v, *, fresh1, fresh2, alpha_t, eps, lower, upper, eta, weight_decay_rate):
        m, v = means(grad, m, v, fresh1, fresh2)
        return moved(param, m, v, alpha_t, eps, lower, upper, eta, weight_decay_rate), m, v

    @equations
    def ams(param, grad, m, v, vhat, *, fresh1, fresh2, alpha_t, eps, lower, upper, eta, weight_decay_rate):
        m, v = means(grad, m, v, fresh1, fresh2)
        vhat = maximum(vhat, v)
        return moved(param, m, vhat, alpha_t, eps, lower, upper, eta, weight_decay_rate), m, v, vhat

    return ams if amsgrad else adam


def _alpha_t(hp, t):
    """The step size alpha with the corrections of the biases of both means."""
    if t == 0:
        raise RuntimeError(
            "Can't determine the learning rate of Adam optimizer because the update steps have not been started."
        )
    return hp.alpha * math.sqrt(1 - hp.beta2**t) / (1 - hp.beta1**t)


def _renamed(name):
    warnings.warn(
        f'{name}.lr has been renamed to AdamRule.alpha_t. Use of {name}.lr is deprecated in Chainer v6.',
        DeprecationWarning,
        stacklevel=3,
    )


class AdamRule(ElementwiseRule):
    """Update rule of Adam; see ``Adam``."""

    own_attributes = ('initial_alpha',)

    def __init__(
        self,
        parent_hyperparam=None,
        alpha=None,
        beta1=None,
        beta2=None,
        eps=None,
        eta=None,
        weight_decay_rate=None,
        amsgrad=None,
        adabound=None,
        final_lr=None,
        gamma=None,
    ):
        super().__init__(
            parent_hyperparam or _defaults,
            alpha=alpha,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            eta=eta,
            weight_decay_rate=weight_decay_rate,
            amsgrad=amsgrad,
            adabound=adabound,
            final_lr=final_lr,
            gamma=gamma,
        )
        self.initial_alpha = self.hyperparam.alpha  # what final_lr is relative to when alpha is changed later

    @property
    def state_names(self):
        return ('m', 'v', 'vhat') if self.hyperparam.amsgrad else ('m', 'v')

    @property
    def alpha_t(self):
        """The step size of the last update, with bias correction."""
        return _alpha_t(self.hyperparam, self.t)

    @property
    def lr(self):
        """Deprecated name of ``alpha_t``."""
        _renamed('AdamRule')
        return self.alpha_t

    @property
    def bounds(self):
        """AdaBound's (lower, upper) bounds of the step size of each element, at the last update."""
        if self.t == 0:
            raise RuntimeError(
                "Can't determine the bounds of AdaBound optimizer because the update steps have not been started."
            )
        hp = self.hyperparam
        final = hp.final_lr * hp.alpha / self.initial_alpha
        return final * (1 - 1 / (hp.gamma * self.t + 1)), final * (1 + 1 / (hp.gamma * self.t))

    def step(self, hp, dtype):
        check_eps(hp['eps'], numpy.float32 if dtype == numpy.float16 else dtype.type, 'Adam')
        lower, upper = self.bounds if hp['adabound'] else (0, 0)
        adabound, decays = bool(hp['adabound']), hp['weight_decay_rate'] != 0
        return _family(bool(hp['amsgrad']), adabound, decays), {
            'fresh1': 1 - hp['beta1'],
            'fresh2': 1 - hp['beta2'],
            'alpha_t': self.alpha_t if adabound or decays else hp['eta'] * self.alpha_t,
            'eps': hp['eps'],
            'lower': lower,
            'upper': upper,
            'eta': hp['eta'],
            'weight_decay_rate': hp['weight_decay_rate'],
        }


class Adam(GradientMethod):
    """Adam: divides a running mean of the gradient by the root of a running mean of its square.

    See Kingma and Ba, https://arxiv.org/abs/1412.6980. ``weight_decay_rate`` gives AdamW (Loshchilov and Hutter,
    https://arxiv.org/abs/1711.05101), ``amsgrad`` AMSGrad (Reddi, Kale and Kumar,
    https://openreview.net/forum?id=ryQu7f-RZ), ``adabound`` AdaBound, both AMSBound (Luo et al.,
    https://openreview.net/forum?id=Bkg3g2R9FX). The biases of both means are corrected in the step size, ``alpha_t``.

    Args:
        alpha (float): Step size.
        beta1 (float): Decay rate of the mean of gradients, ``m``, per update.
        beta2 (float): Decay rate of the mean of their squares, ``v``, per update.
        eps (float): For numerical stability; ValueError at the first update if it vanishes in the dtype computed in
            (float32 for float16).
        eta (float): Schedule multiplier, of the step and of the weight decay.
        weight_decay_rate (float): Rate of decoupled weight decay.
        amsgrad (bool): Whether to divide by the largest ``v`` so far, ``vhat``.
        adabound (bool): Whether to bound the step size of each element, by bounds that move towards ``final_lr``.
        final_lr (float): The step size of SGD that AdaBound ends as.
        gamma (float): How fast the bounds move.
    """

    alpha = HyperparameterProxy('alpha')
    beta1 = HyperparameterProxy('beta1')
    beta2 = HyperparameterProxy('beta2')
    eps = HyperparameterProxy('eps')
    eta = HyperparameterProxy('eta')
    weight_decay_rate = HyperparameterProxy('weight_decay_rate')
    amsgrad = HyperparameterProxy('amsgrad')
    adabound = HyperparameterProxy('adabound')
    final_lr = HyperparameterProxy('final_lr')
    gamma = HyperparameterProxy('gamma')

    def __init__(
        self,
        alpha=_defaults.alpha,
        beta1=_defaults.beta1,
        beta2=_defaults.beta2,
        eps=_defaults.eps,
        eta=_defaults.eta,
        weight_decay_rate=_defaults.weight_decay_rate,
        amsgrad=_defaults.amsgrad,
        adabound=_defaults.adabound,
        final_lr=_defaults.final_lr,
        gamma=_defaults.gamma,
    ):
        super().__init__()
        self.alpha = alpha
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.eta = eta
        self.weight_decay_rate = weight_decay_rate
        self.amsgrad = amsgrad
        self.adabound = adabound
        self.final_lr = final_lr
        self.gamma = gamma

    def create_update_rule(self):
        return AdamRule(self.hyperparam)

    @property
    def alpha_t(self):
        """The step size of the last update, with bias correction."""
        return _alpha_t(self.hyperparam, self.t)

    @property
    def lr(self):
        """Deprecated name of ``alpha_t``."""
        _renamed('Adam')
        return self.alpha_t


class AdamW(Adam):
    """Adam with decoupled weight decay; see ``Adam``."""

    def __init__(
        self,
        alpha=_defaults.alpha,
        beta1=_defaults.beta1,
        beta2=_defaults.beta2,
        eps=_defaults.eps,
        eta=_defaults.eta,
        weight_decay_rate=_defaults.weight_decay_rate,
    ):
        super().__init__(alpha, beta1, beta2, eps, eta, weight_decay_rate)


class AMSGrad(Adam):
    """Adam that divides by the largest mean square so far; see ``Adam``."""

    def __init__(
        self, alpha=_defaults.alpha, beta1=_defaults.beta1, beta2=_defaults.beta2, eps=_defaults.eps, eta=_defaults.eta
    ):
        super().__init__(alpha, beta1, beta2, eps, eta, amsgrad=True)


class AdaBound(Adam):
    """Adam with step sizes bounded towards those of SGD; see ``Adam``."""

    def __init__(
        self,
        alpha=_defaults.alpha,
        beta1=_defaults.beta1,
        beta2=_defaults.beta2,
        final_lr=_defaults.final_lr,
        gamma=_defaults.gamma,
        eps=_defaults.eps,
        eta=_defaults.eta,
    ):
        super().__init__(alpha, beta1, beta2, eps, eta, adabound=True, final_lr=final_lr, gamma=gamma)


class AMSBound(Adam):
    """AdaBound that divides by the largest mean square so far; see ``Adam``."""

    def __init__(
        self,
        alpha=_defaults.alpha,
        beta1=_defaults.beta1,
        beta2=_defaults.beta2,
        final_lr=_defaults.final_lr,
        gamma=_defaults.gamma,
        eps=_defaults.eps,
        eta=_defaults.eta,
    ):
        super().__init__(alpha, beta1, beta2, eps, eta, amsgrad=True, adabound=True, final_lr=final_lr, gamma=gamma)
