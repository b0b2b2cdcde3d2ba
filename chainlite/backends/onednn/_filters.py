"""Filters that predictions keep in the layout that the operations want.

Predictions for few images spend up to a third of their time on reordering filters, and transposed convolutions half of
it, which are the same as in the prediction before. Whether they are can be seen in a fifth of that time.
"""

import weakref

import numpy as np

from chainlite.backends.onednn import _library
from chainlite.backends.onednn._primitive import address
from chainlite.configuration import config

_FEW = 1 << 10  # pixels of the results
_MOST = 4  # layouts of a filter


class Filter:
    """A copy of a filter, which nobody changes.

    Attributes:
        array: the copy.
    """

    def __init__(self, W):
        self.array = W.copy()
        self._address, self._compare = address(self.array), _library.library().compare
        # By the id of each operation: the operation, and the filter reordered for it or None if it takes it as it is.
        # These are as many as images have sizes and programs have threads, of which only a few are kept.
        self._reordered: dict[int, tuple] = {}

    def equals(self, W):
        """Whether W has the same shape and bits."""
        return W.shape == self.array.shape and not self._compare(self._address, address(W), W.nbytes)

    def reordered(self, run):
        """The filter in the layout that the operation wants at the second place, or None if it wants it as it is."""
        found = self._reordered.get(id(run))
        if found is None:
            if len(self._reordered) >= _MOST:
                self._reordered.clear()
            found = self._reordered[id(run)] = run, run.reordered(1, self.array)
        return found[1]


_kept: dict[int, tuple] = {}  # by the id of an array: a weak reference to it, and its Filter


def kept(W, pixels):
    """The Filter of a C-contiguous array W, or None where it is not worth to be kept.

    Args:
        pixels: number of the pixels of all results.
    """
    if config.enable_backprop or pixels > _FEW or W.dtype != np.float32:
        return None
    key = id(W)
    entry = _kept.get(key)
    if entry is None or not entry[1].equals(W):
        _kept[key] = entry = weakref.ref(W, lambda _: _kept.pop(key, None)), Filter(W)
    return entry[1]


def run_filtered(run, kept, x, W, *others):
    """Calls an operation for x, W and other arrays, where `kept` is the Filter of W or None."""
    ready = None if kept is None else kept.reordered(run)
    if ready is None:
        run(x, W, *others)
    else:
        run.at(*[address(a) for a in (x, ready, *others)], ready=1)
