"""All implementations: importing this module registers them."""

from chainlite.backends.onednn import batch_normalization, conv, layout, pooling, product, relu, softmax  # noqa: F401
