"""All implementations: importing this module registers them."""

from chainlite.backends.gpu import batch_normalization, conv, group_normalization, pooling, product, softmax  # noqa: F401
