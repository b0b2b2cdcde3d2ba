"""The layout that cuDNN's convolutions compute in; see _layout."""

from chainlite.backends._layout import as_last, preferred
from chainlite.backends.cudnn._backend import cudnn
from chainlite.backends.cudnn.conv import wants_last


@preferred.when(cudnn, lambda x: x.dtype.char in 'eEf' and x.ndim in (3, 4, 5) and x.size > 0 and wants_last(x))
def _(x):
    return as_last(x)
