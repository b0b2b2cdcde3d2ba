"""All implementations: importing this module registers them."""

from chainlite.backends.gpu import pooling  # noqa: F401
