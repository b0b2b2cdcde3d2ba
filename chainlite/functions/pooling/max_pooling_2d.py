"""Two-dimensional maximum pooling (today's home of the function is max_pooling_nd)."""

from chainlite.functions.pooling.max_pooling_nd import MaxPoolingND, max_pooling_2d  # noqa: F401
from chainlite.functions.pooling.pooling_2d import Pooling2D


class MaxPooling2D(Pooling2D, MaxPoolingND):
    pass
