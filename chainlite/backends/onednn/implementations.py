"""All implementations: importing this module registers them."""

from chainlite.backends.onednn import (  # noqa: F401
    arithmetic,
    batch_normalization,
    contiguous_batch_normalization,
    conv,
    folded_conv,
    group_normalization,
    layout,
    local_response_normalization,
    pooling,
    product,
    relu,
    softmax,
)
