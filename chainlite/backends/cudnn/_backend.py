"""The backend that the implementations register for."""

from chainlite.backends import cuda
from chainlite.backends._kernel import Backend
from chainlite.backends.gpu import gpu

_failed = False


def _enabled():
    return cuda.cudnn_enabled and not _failed and cuda.should_use_cudnn('>=auto')  # the first is asked quickly


cudnn = Backend('cudnn', gpu.accepts, _enabled, preference=1)


def give_up(error):
    """Leaves cuDNN alone from now on."""
    global _failed
    if not _failed:
        _failed = True
        cuda.warn_of_cudnn(f'cuDNN failed and is not used from now on: {type(error).__name__}: {error}')
