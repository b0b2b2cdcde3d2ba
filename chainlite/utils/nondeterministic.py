"""Warnings of what may differ from run to run."""

import warnings

from chainlite.configuration import config


def nondeterministic(f_name):
    """Warns that `f_name` is not deterministic, if `config.warn_nondeterministic` is set."""
    if config.warn_nondeterministic:
        warnings.warn(
            'Potentially non-deterministic code is being executed while config.warn_nondeterministic set. '
            f'Source: {f_name}',
            stacklevel=2,
        )
