"""Hooks for optimizers and update rules: regularizers and changes of gradients."""

from chainlite.optimizer_hooks.gradient_clipping import GradientClipping as GradientClipping
from chainlite.optimizer_hooks.gradient_hard_clipping import GradientHardClipping as GradientHardClipping
from chainlite.optimizer_hooks.gradient_lars import GradientLARS as GradientLARS
from chainlite.optimizer_hooks.gradient_noise import GradientNoise as GradientNoise
from chainlite.optimizer_hooks.lasso import Lasso as Lasso
from chainlite.optimizer_hooks.weight_decay import WeightDecay as WeightDecay
