"""All implementations: importing this module registers them."""

from chainlite.backends.onednn import batch_normalization, conv, pooling, product, softmax  # noqa: F401
