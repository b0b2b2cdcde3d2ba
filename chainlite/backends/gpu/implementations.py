"""All implementations: importing this module registers them."""

from chainlite.backends.gpu import (  # noqa: F401
    conv_implicit,
    local_response_normalization,
)
