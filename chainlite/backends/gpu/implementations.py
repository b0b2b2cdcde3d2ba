"""All implementations: importing this module registers them."""

from chainlite.backends.gpu import batch_normalization, conv, pooling, product, softmax  # noqa: F401
