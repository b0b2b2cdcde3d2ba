"""All implementations: importing this module registers them."""

from chainlite.backends.gpu import (  # noqa: F401
    batch_normalization,
    conv,
    embed_id,
    group_normalization,
    indexing,
    layout,
    local_response_normalization,
    noise,
    pooling,
    product,
    roi,
    softmax,
)
