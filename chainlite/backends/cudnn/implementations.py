"""All implementations: importing this module registers them."""

from chainlite.backends.cudnn import batch_normalization, conv, layout  # noqa: F401
