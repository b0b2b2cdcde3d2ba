"""Warnings of what may change."""

import sys
import warnings


def experimental(api_name):
    """Warns, with FutureWarning, that `api_name` is experimental.

    `chainlite.disable_experimental_feature_warning = True` turns this off.
    """
    package = sys.modules[__name__.partition('.')[0]]
    if not getattr(package, 'disable_experimental_feature_warning', False):
        warnings.warn(
            f'{api_name} is experimental. The interface can change in the future.', FutureWarning, stacklevel=3
        )
