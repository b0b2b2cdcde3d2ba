"""All implementations: importing this module registers them."""

from chainlite.backends.onednn import batch_normalization, conv, pooling, product, relu, softmax  # noqa: F401
