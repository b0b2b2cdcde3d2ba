"""Hooks that watch links run, or change how they run."""

from chainlite.link_hooks.spectral_normalization import SpectralNormalization
from chainlite.link_hooks.timer import TimerHook
from chainlite.link_hooks.weight_standardization import WeightStandardization

__all__ = ['SpectralNormalization', 'TimerHook', 'WeightStandardization']
