"""From one layout to the other, and where the second one pays; see _layout.

Channels last is for the convolutions on tensor cores: they read that and would turn whatever else comes. Columns and
cuBLAS, which serve the rest, want C-contiguous arrays.
"""

from math import prod

from chainlite.backends._layout import as_last, from_last, is_last, preferred, roll, to_last, unroll
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._transpose import channels_last, orders, turned
from chainlite.backends.gpu.conv_implicit import has_tensor_cores


@to_last.when(gpu, lambda x: x.size > 0)
def _(x):
    return unroll(channels_last(x))


@from_last.when(gpu, lambda x: x.size > 0 and is_last(x))
def _(x):
    n, c, *dims = x.shape
    return turned(roll(x), (n, prod(dims), c)).reshape(x.shape)


@preferred.when(gpu, lambda x: not orders(x.shape, x.strides, x.itemsize)[1] and x.size > 0 and has_tensor_cores(x))
def _(x):
    return as_last(x)
