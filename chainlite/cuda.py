"""Chainer's older name of `chainlite.backends.cuda`."""

import sys

from chainlite.backends import cuda

sys.modules[__name__] = cuda
