"""All implementations: importing this module registers them."""

from chainlite.backends.onednn import conv  # noqa: F401
